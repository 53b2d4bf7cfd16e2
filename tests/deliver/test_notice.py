"""One message, there and back."""

from typing import Any

import pytest

from sensor.deliver.notice import Link, Notice, single

ALERT = {"id": "a1", "state": "firing", "severity": "warning", "detector": "idle_drip", "summary": "It sent 4 KB."}


def test_one_state_of_one_alert() -> None:
    notice = single(ALERT, 7)
    assert (notice.id, notice.key, notice.kind, notice.title) == ("a1.firing", "a1", "alert", "idle drip")
    assert (notice.lines, notice.alerts) == (("It sent 4 KB.",), (ALERT,))
    assert single({**ALERT, "state": "resolved"}, 7).title == "over: idle drip"


def test_there_and_back() -> None:
    notice = Notice("n", "k", "group", "firing", "info", 7, "two", ("a", "b"), (ALERT,), (Link("show", "http://box/"),))
    assert Notice.from_json(notice.to_json()) == notice


@pytest.mark.parametrize(
    "values", [{}, {**single(ALERT, 7).to_json(), "links": [1]}, {**single(ALERT, 7).to_json(), "lines": 5}]
)
def test_what_is_none(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no notice"):
        Notice.from_json(values)
