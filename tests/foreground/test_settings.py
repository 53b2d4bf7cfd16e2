"""[foreground] of the configuration."""

from typing import Any

import pytest

from sensor.base.times import SECOND
from sensor.errors import ConfigError
from sensor.foreground.base import SOURCES
from sensor.foreground.fusion import Rules
from sensor.foreground.settings import ForegroundSettings


def made(**values: Any) -> ForegroundSettings:
    return ForegroundSettings.from_settings(values, "foreground")


def problems(**values: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        made(**values)
    return list(caught.value.problems)


def test_the_defaults() -> None:
    assert made() == ForegroundSettings()
    assert made().rules == Rules() == Rules(12 * 3600 * SECOND, 60 * SECOND)


def test_how_long_reports_hold() -> None:
    assert made(max_age="1h", grace="0s").rules == Rules(3600 * SECOND, 0)


def test_a_source_is_on_once_its_table_is_there() -> None:
    [chosen] = made(inferred={}).sources
    assert (chosen.name, chosen.key, chosen.plugin) == ("inferred", "foreground.inferred", SOURCES.find("inferred"))
    assert chosen.settings == chosen.plugin.settings_type()
    assert made(inferred={"enabled": False}).sources == ()


def test_settings_of_a_source_stay_out_of_the_trees_text() -> None:
    assert "settings" not in repr(made(inferred={}))


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"max_age": 5}, 'foreground.max_age: expected text like "90s", got 5'),
        ({"grace": "soon"}, 'foreground.grace: expected a duration like "90s", "12h" or "1h30m"'),
        ({"graze": "1s"}, "foreground.graze: unknown key; did you mean 'foreground.grace'?"),
        ({"inferred": 5}, "foreground.inferred: expected a table, [foreground.inferred]"),
        ({"inferred": [{}]}, "foreground.inferred: expected a table, [foreground.inferred]"),
        ({"infered": {}}, "foreground.infered: no foreground source called 'infered'; did you mean 'inferred'? "),
        ({"../x": {}}, "foreground.../x: no foreground source called '../x'; known: "),
        ({"inferred": {"enabled": 1}}, "foreground.inferred.enabled: expected true or false, got 1"),
        ({"inferred": {"nope": 1}}, "foreground.inferred.nope: unknown key; known here: "),
    ],
)  # fmt: skip
def test_each_mistake_names_its_key(values: dict[str, Any], problem: str) -> None:
    [found] = problems(**values)
    assert found.startswith(problem)


def test_all_mistakes_come_at_once() -> None:
    assert len(problems(max_age=1, grace=2, nobody={}, inferred={"a": 1, "b": 2})) == 5
