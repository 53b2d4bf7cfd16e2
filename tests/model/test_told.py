"""What is remembered, before and after the store has it."""

from sensor.model.told import Told


def test_an_alert_that_the_store_does_not_have_yet_is_not_lost() -> None:
    assert Told("f1", "[2]").after(Told("f1", "[1]", "alert")) == Told("f1", "[2]", "alert")
    assert Told("f1", "[2]", "newer").after(Told("f1", "[1]", "alert")) == Told("f1", "[2]", "newer")
    assert Told("f1", "[2]").after(None) == Told("f1", "[2]")


def test_what_is_forgotten_has_no_alert() -> None:
    assert Told("f1", None).after(Told("f1", "[1]", "alert")) == Told("f1", None)
