from typing import Any

import pytest

from sensor.base.settings import build
from sensor.base.times import SECOND
from sensor.detect.learned import PERIOD
from sensor.detect.rules.idle_drip import IdleDrip, Settings
from sensor.errors import ConfigError
from sensor.model.alert import Alert
from sensor.model.destination import Place
from tests.detect.lab import CHINA, CLOUD, GOOGLE, PHONE, START, TABLET, V4, V6, Lab, Move

WATCHED = [{"name": "china", "countries": ["CN"]}]
DRIP = Move(0, 7_000, 500, 7_200)


def idle_lab(settings: dict[str, Any] | None = None, **more: Any) -> Lab:
    lab = Lab(IdleDrip, settings or {}, **more)
    lab.is_("background")
    return lab


def drips(lab: Lab, times: int, *moves: Move, every: int = 270) -> list[Alert]:
    """A second of it every few minutes."""
    alerts = []
    for _ in range(times):
        alerts += lab.second(*moves)
        alerts += lab.waits(every - 1)
    return alerts


@pytest.mark.parametrize("address", [V4, V6])
def test_a_client_that_tells_a_little_again_and_again(address: str) -> None:
    lab = idle_lab()
    lab.meets(address, CHINA, "api.account.xiaomi.com")
    [alert] = drips(lab, 3, DRIP)
    assert alert.summary == (
        "Redmi Note (Xiaomi) sent 21.6 KB so far in 9 min to China Unicom Beijing in China "
        f"(api.account.xiaomi.com, {address}), in at least 3 contacts while its screen was off: "
        "no use by a person explains it."
    )
    assert (alert.detector, alert.severity, alert.state) == ("idle_drip", "warning", "firing")
    assert alert.thresholds == {"window_seconds": 43_200.0, "min_contacts": 3, "min_bytes": 20_000}
    assert alert.measured == {
        "owner": "China Unicom Beijing",
        "watch": None,
        "contacts": 3,
        "window_bytes": 21_600,
        "why": "no use by a person explains it",
        "ports": [],
        "uploaded_bytes": 21_000,
        "contradicted_by": [],
        "timeline": ["2026-09-21T14:13:20Z background, told by push, its screen was off"],
        "would_not_fire": [
            "a person had used it",
            "min_contacts above 3",
            "min_bytes above 21.6 KB",
            'an [[allow]] for "China Unicom Beijing" on this client',
        ],
    }
    assert alert.started_at == alert.evidence.first_seen == START + SECOND // 2
    assert (alert.evidence.sent_bytes, alert.evidence.received_bytes) == (21_600, 1_500)
    assert alert.evidence.frames == 300


@pytest.mark.parametrize("address", [V4, V6])
@pytest.mark.parametrize("state", ["foreground", "unknown"])
def test_silent_while_it_is_used_or_nobody_knows(address: str, state: Any) -> None:
    lab = Lab(IdleDrip, watches=WATCHED)
    lab.meets(address)
    if state != "unknown":
        lab.is_(state)
    assert drips(lab, 20, DRIP) == []


@pytest.mark.parametrize("address", [V4, V6])
def test_silent_for_what_only_acknowledges(address: str) -> None:
    lab = idle_lab(watches=WATCHED)
    lab.meets(address)
    assert drips(lab, 20, Move(0, 0, 900_000, 20_000)) == []


def test_keep_alives_for_a_night_stay_below() -> None:
    lab = idle_lab(watches=WATCHED)
    lab.meets()
    assert drips(lab, 120, Move(0, 30, 70, 110), every=360) == []


def test_two_contacts_are_not_three() -> None:
    lab = idle_lab()
    lab.meets()
    assert drips(lab, 2, Move(0, 70_000)) == []
    assert len(drips(lab, 1, Move(0, 70_000))) == 1


@pytest.mark.parametrize(("missing", "alerts"), [(1, 0), (0, 1)])
def test_it_takes_as_much_as_it_takes(missing: int, alerts: int) -> None:
    lab = idle_lab()
    lab.meets()
    drips(lab, 2, Move(0, 6_900, 0, 7_000))
    assert len(drips(lab, 1, Move(0, 5_900, 0, 6_000 - missing))) == alerts


@pytest.mark.parametrize(("silence", "alerts"), [(59, 0), (60, 1)])
def test_a_contact_begins_after_a_minute_of_silence(silence: int, alerts: int) -> None:
    lab = idle_lab()
    lab.meets()
    assert len(drips(lab, 3, Move(0, 9_000), every=silence)) == alerts


def test_what_goes_on_without_silence_counts_every_ten_minutes() -> None:
    lab = idle_lab()
    lab.meets()
    assert drips(lab, 60, Move(0, 500), every=20) == []  # 20 minutes less 20 seconds
    assert len(drips(lab, 1, Move(0, 500), every=20)) == 1


def test_a_fresh_look_is_asked_for_one_contact_before() -> None:
    lab = idle_lab()
    lab.meets()
    drips(lab, 1, Move(0, 100))
    assert lab.engine.take_suspects() == set()
    drips(lab, 1, Move(0, 100))
    assert lab.engine.take_suspects() == {PHONE}


def test_what_is_older_than_the_window_does_not_count() -> None:
    lab = idle_lab()
    lab.meets()
    drips(lab, 2, DRIP)
    lab.waits(12 * 3600)
    assert drips(lab, 2, DRIP) == []
    assert len(drips(lab, 1, DRIP)) == 1


# Whom the client knows.


def used(lab: Lab, nbytes: int = 500_000) -> None:
    """A person uses it."""
    lab.is_("foreground")
    lab.second(Move(0, 1_000, nbytes))
    lab.is_("background")
    lab.waits(300)


def test_an_owner_that_a_person_uses_is_no_stranger() -> None:
    lab = idle_lab()
    lab.meets()
    used(lab)
    assert drips(lab, 10, DRIP) == []


@pytest.mark.parametrize(("nbytes", "alerts"), [(18_000, 1), (60_000, 0)])
def test_a_glance_confirms_nobody(nbytes: int, alerts: int) -> None:
    lab = idle_lab()
    lab.meets()
    used(lab, nbytes)
    assert len(drips(lab, 2, Move(0, 9_000)) + drips(lab, 1, Move(0, 500, 0, 1_600))) == alerts


def test_one_that_tells_more_than_a_person_uses_is_a_stranger_again() -> None:
    lab = idle_lab()
    lab.meets()
    used(lab, 50_000)
    assert len(drips(lab, 20, DRIP)) == 1


def test_what_one_client_uses_another_does_not_know() -> None:
    lab = idle_lab()
    lab.is_("background", TABLET)
    lab.meets(row=0)
    lab.meets(row=1, client=TABLET)
    used(lab)
    [alert] = drips(lab, 5, DRIP, Move(1, 7_000))
    assert alert.client.id == TABLET


@pytest.mark.parametrize("address", [V4, V6])
def test_a_watched_owner_is_never_familiar(address: str) -> None:
    lab = idle_lab(watches=WATCHED)
    lab.meets(address)
    used(lab)
    [alert] = drips(lab, 3, DRIP)
    assert alert.summary.endswith('while its screen was off: on watch "china".')
    assert alert.measured["watch"] == "china"


def test_one_watched_address_does_not_make_all_of_its_owner_watched() -> None:
    lab = idle_lab(watches=[{"name": "one", "cidrs": ["42.62.48.10/32"]}])
    lab.meets("42.62.48.10", CLOUD, row=0)
    lab.meets("42.62.48.11", CLOUD, row=1)
    used(lab)
    assert drips(lab, 5, Move(1, 7_000), Move(0, 100)) == []
    assert len(drips(lab, 5, Move(0, 7_000))) == 1


def nights(lab: Lab, count: int, *moves: Move) -> list[Alert]:
    """Periods of idling, with a contact every two hours."""
    return [alert for _ in range(count) for alert in drips(lab, 6, *moves, every=7200)]


def test_a_confirmed_owner_counts_where_it_is_far_above_its_own_baseline() -> None:
    lab = idle_lab()
    lab.now = lab.now // PERIOD * PERIOD
    lab.is_("background")
    lab.meets()
    used(lab, 10**9)
    lab.now += PERIOD
    assert nights(lab, 13, Move(0, 4_000, 0, 5_000)) == []
    assert drips(lab, 6, Move(0, 40_000)) == []  # still learning
    nights(lab, 2, Move(0, 4_000, 0, 5_000))
    assert drips(lab, 2, Move(0, 90_000)) == []  # 215 KB; usual are 30 KB
    [alert] = drips(lab, 1, Move(0, 90_000))
    assert alert.measured["why"] == "usually 30.0 KB while idle"


# The states around it.


def test_a_contact_that_began_in_front_is_not_one_of_those_behind() -> None:
    lab = Lab(IdleDrip, watches=WATCHED)
    lab.meets()
    for _ in range(6):
        lab.is_("foreground")
        lab.seconds(2, DRIP)
        lab.is_("background")
        assert lab.seconds(2, DRIP) == []
        lab.is_("foreground")
        assert lab.waits(300) == []


def test_a_person_in_the_middle_takes_nothing_back() -> None:
    lab = idle_lab(watches=WATCHED)
    lab.meets()
    drips(lab, 2, DRIP)
    used(lab)
    [alert] = drips(lab, 1, DRIP)
    assert alert.measured["window_bytes"] == 21_600  # nothing of what she used


def test_what_only_a_schedule_says_is_for_another_rule() -> None:
    lab = Lab(IdleDrip, watches=WATCHED)
    lab.is_("background", source="schedule")
    lab.meets()
    assert drips(lab, 10, DRIP) == []
    assert lab.learned.habit(PHONE, "China Unicom Beijing") is None


def test_what_is_only_inferred_is_never_more_than_info() -> None:
    lab = Lab(IdleDrip, {"severity": "critical"}, watches=WATCHED)
    lab.is_("background", source="inferred")
    lab.meets()
    [alert] = drips(lab, 3, DRIP)
    assert alert.severity == "info"
    assert "while its traffic looked as if nobody used it" in alert.summary


# What is fine, and who tries to look so.


def test_what_is_allowed_up_to_an_amount() -> None:
    lab = idle_lab(shipped=[{"name": "google", "owners": ["Google"], "max_bytes": "50KB"}])
    lab.meets("8.8.8.8", GOOGLE)
    assert drips(lab, 6, DRIP) == []
    assert lab.engine.allowed == {"idle_drip": 1}
    [alert] = drips(lab, 1, DRIP)
    assert alert.measured["window_bytes"] == 50_400


def test_a_shipped_list_does_not_hold_at_watched_places() -> None:
    table = {"name": "fine", "countries": ["CN"]}
    shipped, own = idle_lab(shipped=[table], watches=WATCHED), idle_lab(allow=[table], watches=WATCHED)
    shipped.meets()
    own.meets()
    assert len(drips(shipped, 4, DRIP)) == 1
    assert drips(own, 4, DRIP) == []


def test_a_name_that_is_borrowed_for_each_contact_gains_one_amount_and_no_more() -> None:
    lab = idle_lab(shipped=[{"name": "ntp", "domains": ["pool.ntp.org", "time.google.com"], "max_bytes": "10KB"}])
    contact = lab.meets(V4, CHINA)
    alerts = []
    for name in ["pool.ntp.org", "evil.example", "time.google.com", "a.example", "pool.ntp.org", "b.example"]:
        lab.calls(contact, name)
        alerts += drips(lab, 1, DRIP)
    assert len(alerts) == 1


def test_an_allowed_chatter_does_not_cover_the_silence_before_a_contact() -> None:
    lab = idle_lab(allow=[{"name": "push", "domains": ["push.example"]}])
    lab.meets(V4, CHINA, "push.example", row=0)
    lab.meets(V6, CHINA, "other.example", row=1)
    lab.second(Move(0, 50), Move(1, 50))
    alerts = []
    for _ in range(3):
        alerts += drips(lab, 6, Move(0, 50), every=50)
        alerts += lab.second(Move(0, 50), Move(1, 9_000))
    assert len(alerts) == 1


def test_a_name_that_is_learned_late_makes_no_contact_more() -> None:
    lab = idle_lab(allow=[{"name": "upload", "domains": ["mi.com"], "detectors": ["background_upload"]}])
    contact = lab.meets()
    lab.second(Move(0, 30_000))
    lab.calls(contact, "api.mi.com")
    lab.second(Move(0, 30_000))
    lab.waits(100)
    assert lab.second(Move(0, 30_000)) == []
    lab.waits(100)
    assert len(lab.second(Move(0, 30_000))) == 1


def test_decoys_do_not_push_out_what_matters() -> None:
    lab = idle_lab()
    lab.meets()
    alerts = lab.second(DRIP)
    for drip in range(2):
        for burst in range(10):
            decoys = range(1, 251)
            for row in decoys:
                lab.meets(f"9.{drip}.{burst}.{row}", Place("US", 70_000 + drip * 9_000 + burst * 300 + row), row=row)
            alerts += lab.second(*(Move(row, 0, 0, 60) for row in decoys))
            for row in decoys:
                lab.engine.forgotten(row)
        lab.waits(100)
        alerts += lab.second(DRIP)
    decoys_too, alert = alerts
    assert alert.measured["window_bytes"] == 21_600
    assert decoys_too.measured["owner"] == "other owners"


def among_decoys(lab: Lab, rounds: int, size: int, owners: int = 600) -> list[Alert]:
    """The drip every five minutes, and in between a little to hundreds of owners."""
    alerts, decoys = [], range(1, owners + 1)
    for row in decoys:
        lab.meets(f"9.1.{row // 250}.{row % 250}", Place("US", 70_000 + row, f"Decoy {row}"), row=row)
    for _ in range(rounds):
        alerts += lab.second(Move(0, 1_900))
        for first in range(0, owners, 20):
            alerts += lab.second(*(Move(row, size) for row in decoys[first : first + 20]))
        alerts += lab.waits(300 - 1 - owners // 20)
    return alerts


def test_decoys_that_are_told_more_make_one_alert_of_all() -> None:
    lab = idle_lab()
    lab.meets()
    [alert] = among_decoys(lab, 12, 4_200)
    assert (alert.measured["owner"], alert.measured["why"]) == ("other owners", "no use by a person explains it")
    assert " and others, beyond 512 owners, in at least " in alert.summary
    assert not any("[[allow]]" in each for each in alert.measured["would_not_fire"])  # type: ignore[attr-defined]
    assert lab.detector.evicted > 5_000
    [now] = lab.engine.alerts()
    assert now.evidence.sent_bytes > 20_000_000, "what joins them later counts for the same alert"
    [over] = lab.waits(86_400)
    assert over.state == "resolved"


def test_as_many_owners_as_there_is_room_for_make_none() -> None:
    lab = idle_lab()
    lab.meets()
    assert among_decoys(lab, 2, 50, owners=500) == []
    assert lab.detector.evicted == 0


def test_what_was_allowed_stays_allowed_among_the_others() -> None:
    lab = idle_lab(allow=[{"name": "all of it", "countries": ["US"]}])
    lab.meets()
    [alert] = among_decoys(lab, 12, 4_200)
    assert alert.measured["window_bytes"] < 23_000, "it is about the drip alone"


def test_who_is_used_pushes_out_nothing_that_it_told_while_idle() -> None:
    lab = idle_lab()
    lab.meets()
    drips(lab, 2, DRIP)
    lab.is_("foreground")
    among_decoys(lab, 1, 4_200)
    assert lab.detector.evicted == 0
    lab.is_("background")
    assert [alert.measured["owner"] for alert in drips(lab, 1, DRIP)] == ["China Unicom Beijing"]


def test_owners_that_a_persons_use_confirmed_do_not_count_among_the_others() -> None:
    lab = idle_lab()
    lab.meets()
    for row in range(1, 601):
        lab.learned.note(PHONE, f"Decoy {row}", START, used=10**9)
    assert among_decoys(lab, 4, 4_200) == []


# While it goes on, and after.


def test_what_comes_back_every_night_stays_one_alert_and_grows() -> None:
    lab = idle_lab()
    lab.meets()
    [fired] = drips(lab, 3, DRIP)
    lab.waits(20 * 3600)
    assert drips(lab, 3, DRIP) == []
    [now] = lab.engine.alerts()
    assert (now.id, now.state) == (fired.id, "firing")
    assert now.evidence.sent_bytes == 6 * 7_200
    assert now.summary.startswith("Redmi Note (Xiaomi) sent 43.2 KB so far in 20 h 22 min to")
    [over] = lab.waits(86_400)
    assert (over.id, over.state) == (fired.id, "resolved")
    assert over.resolved_at == over.evidence.last_seen + 86_400 * SECOND
    assert "sent 43.2 KB in 20 h 22 min to" in over.summary


def test_the_state_in_the_evidence_is_the_last_one_it_rests_on() -> None:
    lab = idle_lab()
    lab.meets()
    drips(lab, 3, DRIP)
    lab.waits(18 * 3600)
    lab.is_("background", source="adb")
    drips(lab, 1, DRIP)
    [now] = lab.engine.alerts()
    assert now.evidence.foreground.source == "adb"
    assert now.evidence.foreground.age(now.evidence.last_seen) == SECOND // 2


def test_after_it_was_over_it_begins_anew_under_another_id() -> None:
    lab = idle_lab({"resolve_after": "5m"})
    lab.meets()
    [first, over] = drips(lab, 3, DRIP) + lab.waits(300)
    assert (over.id, over.state) == (first.id, "resolved")
    assert drips(lab, 2, DRIP) == []
    [second] = drips(lab, 1, DRIP)
    assert second.fingerprint == first.fingerprint
    assert second.id != first.id


def test_a_contact_that_comes_late_closes_it_first() -> None:
    lab = idle_lab()
    lab.meets()
    drips(lab, 3, DRIP)
    lab.now += 2 * 86_400 * SECOND
    assert [alert.state for alert in lab.second(DRIP)] == ["resolved"]


def test_a_clock_step_ends_everything() -> None:
    lab = idle_lab()
    lab.meets()
    [fired] = drips(lab, 3, DRIP)
    [over] = lab.steps(21 * 86_400)
    assert (over.id, over.state) == (fired.id, "resolved")
    assert drips(lab, 2, DRIP) == []
    assert len(drips(lab, 1, DRIP)) == 1


def test_a_step_back_loses_no_rule() -> None:
    lab = idle_lab()
    lab.meets()
    drips(lab, 2, DRIP)
    lab.steps(-14 * 86_400)
    lab.states.changes.clear()
    lab.is_("background")
    assert drips(lab, 2, DRIP) == []
    assert len(drips(lab, 1, DRIP)) == 1


def test_every_run_says_the_same() -> None:
    first, second = idle_lab(), idle_lab()
    for lab in (first, second):
        lab.meets()
    assert drips(first, 5, DRIP) == drips(second, 5, DRIP) != []


def test_a_window_too_short_to_tell_contacts_apart() -> None:
    with pytest.raises(ConfigError, match="window: expected at least 10m"):
        build(Settings, {"window": "5m"})
