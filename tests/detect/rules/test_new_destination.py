from typing import Any

import numpy as np
import pytest

from sensor.base.times import SECOND
from sensor.detect.rules import new_destination
from sensor.detect.rules.new_destination import MAX_A_DAY, NewDestination
from sensor.model.alert import Alert
from sensor.model.destination import Place
from tests.detect.lab import CHINA, CLOUD, GOOGLE, START, TABLET, V4, V6, Lab, Move

DAY = 86_400
SENT = Move(0, 500, 900)


def known_lab(settings: dict[str, Any] | None = None) -> Lab:
    """A phone that has talked with Google for a week."""
    lab = Lab(NewDestination, settings or {})
    lab.meets("8.8.8.8", GOOGLE)
    assert lab.second(SENT) == []
    assert lab.waits(7 * DAY) == []
    return lab


@pytest.mark.parametrize("address", [V4, V6])
def test_the_first_word_to_an_owner(address: str) -> None:
    lab = known_lab()
    lab.is_("background")
    lab.meets(address, CHINA, "api.account.xiaomi.com")
    [alert] = lab.second(SENT)
    assert alert.summary == (
        "Redmi Note (Xiaomi) sent to China Unicom Beijing for the first time: "
        f"China Unicom Beijing in China (api.account.xiaomi.com, {address})."
    )
    assert (alert.detector, alert.severity, alert.state) == ("new_destination", "info", "firing")
    assert alert.thresholds == {"learning_seconds": 7.0 * DAY}
    assert alert.measured == {"kind": "owner", "new": "China Unicom Beijing", "ports": []}
    assert (alert.evidence.sent_bytes, alert.evidence.received_bytes) == (540, 900)
    assert alert.evidence.foreground.state == "background"
    assert lab.second(SENT) == []


@pytest.mark.parametrize("address", [V4, V6])
def test_silent_while_it_learns(address: str) -> None:
    lab = Lab(NewDestination)
    lab.meets("8.8.8.8", GOOGLE)
    lab.second(SENT)
    lab.waits(7 * DAY - 2)
    lab.meets(address)
    assert lab.second(SENT) == []


@pytest.mark.parametrize("address", [V4, V6])
def test_silent_where_it_only_received_or_knows_both(address: str) -> None:
    lab = known_lab()
    lab.meets(address, GOOGLE, row=1)
    lab.meets(V4, CHINA, row=2)
    assert lab.second(Move(1, 500), Move(2, 0, 60, 0)) == []
    assert len(lab.second(Move(2, 500))) == 1


def test_silent_for_what_nobody_knows_anything_of() -> None:
    lab = known_lab()
    lab.meets(V4, Place())
    assert lab.second(SENT) == []


def test_a_new_country_of_a_known_owner() -> None:
    lab = known_lab()
    lab.meets(V4, GOOGLE._replace(country="SG"))
    [alert] = lab.second(SENT)
    assert alert.measured == {"kind": "country", "new": "SG", "ports": []}
    assert alert.summary.startswith("Redmi Note (Xiaomi) sent to Singapore for the first time: Google LLC in Singapore")


def test_another_client_learns_for_itself() -> None:
    lab = known_lab()
    lab.meets(row=0)
    lab.meets(row=1, client=TABLET)
    [alert] = lab.second(SENT, Move(1, 500))
    assert alert.client.name == "Redmi Note"


def test_a_name_that_is_learned_later_makes_it_no_newer() -> None:
    lab = known_lab()
    contact = lab.meets()
    lab.second(SENT)
    lab.calls(contact, "api.mi.com")
    assert lab.second(SENT) == []


def test_it_is_over_after_a_while() -> None:
    lab = known_lab()
    lab.meets()
    [fired] = lab.second(SENT)
    assert lab.waits(598) == []
    [over] = lab.waits(10)
    assert (over.id, over.state, over.resolved_at) == (fired.id, "resolved", fired.updated_at + 600 * SECOND)
    assert lab.engine.alerts() == [over]


def strangers(lab: Lab, count: int, first: int = 0) -> list[Alert]:
    for row in range(count):
        lab.meets(f"9.0.{row >> 8}.{row & 255}", Place("US", first + row + 1, f"Owner {first + row}"), row=row)
    return lab.second(*(Move(row, 500) for row in range(count)))


def test_so_many_a_day_and_client_and_no_more() -> None:
    lab = known_lab()
    assert len(strangers(lab, MAX_A_DAY + 5)) == MAX_A_DAY
    assert lab.engine.suppressed == {"new_destination": 5}
    lab.waits(DAY)
    assert len(strangers(lab, 3, first=1_000)) == 3


def test_no_more_than_the_cap_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new_destination, "MAX_ACTIVE", 2)
    lab = known_lab()
    assert len(strangers(lab, 4)) == 2
    assert lab.engine.suppressed == {"new_destination": 2}


def test_what_was_learned_survives_a_restart() -> None:
    before = known_lab()
    after = Lab(NewDestination, learned=before.learned, now=before.now)
    after.meets("8.8.8.8", GOOGLE)
    assert after.second(SENT) == []
    after.meets(V4, CLOUD)
    assert len(after.second(SENT)) == 1


def test_a_clock_that_was_wrong_at_start_does_not_end_the_learning() -> None:
    lab = Lab(NewDestination, now=40 * SECOND)
    lab.meets("8.8.8.8", GOOGLE)
    lab.second(SENT)
    lab.steps(START // SECOND)
    lab.meets(V4, CHINA)
    assert lab.second(SENT) == []
    lab.waits(7 * DAY)
    lab.meets(V6, CLOUD)
    assert len(lab.second(SENT)) == 1


def test_a_step_ends_what_is_open_and_a_step_back_forgets_nobody() -> None:
    lab = known_lab()
    lab.meets()
    [fired] = lab.second(SENT)
    [over] = lab.steps(-14 * DAY)
    assert (over.id, over.state) == (fired.id, "resolved")
    lab.meets(V4, CLOUD)
    assert len(lab.second(SENT)) == 1


def test_a_row_that_is_used_again_is_another_contact() -> None:
    lab = known_lab()
    lab.meets(row=3)
    lab.engine.forgotten(3)
    assert lab.second(Move(3, 500)) == []


def test_every_run_says_the_same() -> None:
    first, second = known_lab(), known_lab()
    for lab in (first, second):
        lab.meets()
    assert first.second(SENT) == second.second(SENT) != []


def test_nothing_moved() -> None:
    lab = known_lab()
    lab.meets()
    assert np.array_equal(lab.second(), [])


def test_hostile_owners_are_shown_escaped_and_cut() -> None:
    lab = known_lab()
    lab.meets(V4, Place("CN", 1, "\u202e" * 300))
    [alert] = lab.second(SENT)
    assert alert.summary.isprintable()
    assert alert.summary.endswith("(42.62.48.10).")
