"""What a message of several alerts says."""

from typing import Any

import pytest

from sensor.deliver.notice import client_of
from sensor.deliver.together import SHOWN, together


def alert(number: int, severity: str = "info", state: str = "firing") -> dict[str, Any]:
    client = {"mac": f"02:00:00:00:00:{number:02x}", "addresses": []}
    return {"severity": severity, "state": state, "summary": f"it sent {number} MB", "client": client}


def test_the_worst_come_first_and_the_others_are_a_number() -> None:
    notice = together("group", [*(alert(number) for number in range(14)), alert(99, "critical")], 0, 5, 1)
    assert (notice.id, notice.key, notice.severity, notice.state) == ("group.5.1", "group.5.1", "critical", "firing")
    assert notice.title == "15 alerts of 15 clients"
    assert (notice.lines[0], notice.lines[-1]) == ("it sent 99 MB", "and 5 more")
    assert (len(notice.lines), len(notice.alerts)) == (SHOWN + 1, SHOWN)


@pytest.mark.parametrize(
    ("kind", "beyond", "says"),
    [
        ("digest", 0, "held back until now: 1 alert of 1 client"),
        ("digest", 7, "held back until now: 8 alerts of at least 1 client"),
        ("rest", 0, "1 more alert of 1 client"),
        ("rest", 1, "2 more alerts of at least 1 client"),
    ],
)
def test_titles(kind: Any, beyond: int, says: str) -> None:
    notice = together(kind, [alert(1, state="resolved")], beyond, 5, 1)
    assert notice.title == says
    assert notice.state == ("firing" if beyond else "resolved")
    assert notice.lines == ("over: it sent 1 MB", *([f"and {beyond} more"] if beyond else []))


def test_only_a_number_is_left() -> None:
    notice = together("rest", [], 12, 5, 1)
    assert (notice.title, notice.lines) == ("12 more alerts of at least 0 clients", ("and 12 more",))


def test_whom_it_is_about() -> None:
    assert client_of({"client": {"mac": None, "addresses": ["10.0.0.2"]}}) == "10.0.0.2"
    assert client_of({"client": {"mac": None, "addresses": []}}) == "other"
