from dataclasses import replace
from typing import Any

import pytest

from sensor.base.settings import build
from sensor.base.times import SECOND
from sensor.detect import idle
from sensor.detect.rules.background_upload import BackgroundUpload, Settings
from sensor.errors import ConfigError
from sensor.model.alert import Alert
from sensor.model.destination import Place
from tests.detect.lab import CHINA, CLOUD, GOOGLE, PHONE, START, TABLET, V4, V6, Lab, Move

MUCH = Move(0, 5_000, 500)
"""What makes 305 KB in 61 seconds."""


def idle_lab(settings: dict[str, Any] | None = None, **more: Any) -> Lab:
    lab = Lab(BackgroundUpload, settings or {}, **more)
    lab.is_("background")
    return lab


def allow(**table: Any) -> dict[str, Any]:
    return {"name": "wanted", "owners": ["China Unicom"], **table}


@pytest.mark.parametrize("address", [V4, V6])
def test_a_client_that_keeps_uploading_while_nobody_uses_it(address: str) -> None:
    lab = idle_lab()
    lab.meets(address, CHINA, "api.account.xiaomi.com")
    [alert] = lab.seconds(61, MUCH)
    assert alert.summary == (
        "Redmi Note (Xiaomi) has sent 305.0 KB so far to China Unicom Beijing in China "
        f"(api.account.xiaomi.com, {address}) in 60 s while its screen was off."
    )
    assert (alert.detector, alert.rule, alert.severity, alert.state) == (
        "background_upload", "background_upload", "warning", "firing",
    )  # fmt: skip
    assert alert.started_at == START + SECOND // 2
    assert alert.thresholds == {
        "for_seconds": 60.0, "min_bytes": 200_000, "window_seconds": 3600.0, "received_to_sent": 2,
    }  # fmt: skip
    assert alert.measured == {
        "owner": "China Unicom Beijing",
        "watch": None,
        "seconds": 60.0,
        "window_bytes": 305_000,
        "ports": [],
        "uploaded_bytes": 305_000,
        "contradicted_by": [],
        "timeline": ["2026-09-21T14:13:20Z background, told by push, its screen was off"],
        "would_not_fire": [
            "a person had used it",
            "for above 60 s",
            "min_bytes above 305.0 KB",
            'an [[allow]] for "China Unicom Beijing" on this client',
        ],
    }
    evidence = alert.evidence
    assert (evidence.sent_bytes, evidence.received_bytes) == (61 * 5_160, 61 * 500)
    assert (evidence.first_seen, evidence.last_seen) == (START + SECOND // 2, START + 60 * SECOND + SECOND // 2)
    assert (evidence.frames, evidence.dropped_frames) == (6_100, 0)
    assert (evidence.foreground.state, evidence.foreground.source) == ("background", "push")


@pytest.mark.parametrize("address", [V4, V6])
@pytest.mark.parametrize("state", ["foreground", "unknown"])
def test_silent_while_it_is_used_or_nobody_knows(address: str, state: Any) -> None:
    lab = Lab(BackgroundUpload)
    lab.meets(address)
    if state != "unknown":
        lab.is_(state)
    assert lab.seconds(300, MUCH) == []


@pytest.mark.parametrize("address", [V4, V6])
def test_silent_for_a_download(address: str) -> None:
    lab = idle_lab()
    lab.meets(address)
    assert lab.seconds(300, Move(0, 5_000, 10_001)) == []
    assert len(lab.seconds(61, Move(0, 5_000, 10_000))) == 1


def test_it_takes_as_long_as_it_takes() -> None:
    lab = idle_lab()
    lab.meets()
    assert lab.seconds(60, MUCH) == []  # 59 s from the first packet to the last
    assert len(lab.second(MUCH)) == 1


@pytest.mark.parametrize(("missing", "alerts"), [(1, 0), (0, 1)])
def test_it_takes_as_much_as_it_takes(missing: int, alerts: int) -> None:
    lab = idle_lab()
    lab.meets()
    lab.seconds(60, Move(0, 1_000))
    assert len(lab.second(Move(0, 140_000 - missing))) == alerts


@pytest.mark.parametrize(("pause", "alerts"), [(60, 1), (61, 0)])
def test_a_pause_begins_it_anew(pause: int, alerts: int) -> None:
    lab = idle_lab()
    lab.meets()
    assert lab.seconds(30, Move(0, 10_000)) == []
    lab.waits(pause - 1)
    assert len(lab.seconds(2, Move(0, 10_000))) == alerts


def test_several_addresses_of_one_owner_are_one_upload() -> None:
    lab = idle_lab()
    for row in range(6):
        lab.meets(f"42.62.48.{row}" if row % 2 else f"2400:3200::{row:x}", row=row)
    alerts = [alert for second in range(61) for alert in lab.second(Move(second % 6, 4_000))]
    assert len(alerts) == 1


def test_other_owners_and_other_clients_are_other_uploads() -> None:
    lab = idle_lab()
    lab.is_("background", TABLET)
    lab.meets(row=0)
    lab.meets("18.0.0.1", CLOUD, row=1)
    lab.meets(row=2, client=TABLET)
    apart = [alert for second in range(70) for alert in lab.second(Move(second % 2, 4_000))]
    assert apart == []  # half of it to each
    alerts = lab.seconds(70, Move(0, 4_000), Move(1, 4_000), Move(2, 4_000))
    assert {(alert.client.name, alert.destination and alert.destination.place.owner) for alert in alerts} == {
        ("Redmi Note", "China Unicom Beijing"),
        ("Redmi Note", "Example Cloud"),
        ("Tablet", "China Unicom Beijing"),
    }
    assert len({alert.fingerprint for alert in alerts}) == 3


def test_one_that_is_used_does_not_speak_for_another() -> None:
    lab = idle_lab()
    lab.is_("foreground", TABLET)
    lab.meets(row=0, client=TABLET)
    lab.meets(row=1)
    [alert] = lab.seconds(100, Move(0, 9_000), Move(1, 9_000))
    assert alert.client.id == PHONE


def in_pieces(lab: Lab, pieces: int, *moves: Move, seconds: int = 50, pause: int = 120) -> list[Alert]:
    """Uploads that each end before they are long enough."""
    alerts = []
    for _ in range(pieces):
        alerts += lab.seconds(seconds, *moves)
        alerts += lab.waits(pause)
    return alerts


@pytest.mark.parametrize("address", [V4, V6])
def test_an_upload_in_pieces_takes_five_times_as_long_and_as_much(address: str) -> None:
    lab = idle_lab()
    lab.meets(address)
    assert in_pieces(lab, 5, MUCH) == []
    [alert] = lab.seconds(50, MUCH)
    assert (alert.measured["seconds"], alert.measured["window_bytes"]) == (300.0, 1_500_000)
    assert alert.started_at == START + SECOND // 2
    assert alert.summary.startswith("Redmi Note (Xiaomi) has sent 1.5 MB so far to China Unicom Beijing in China")


@pytest.mark.parametrize(("moves", "pieces"), [(Move(0, 3_000), 6), (MUCH, 5)])
def test_pieces_that_are_too_small_or_too_few(moves: Move, pieces: int) -> None:
    lab = idle_lab()
    lab.meets()
    assert in_pieces(lab, pieces, moves) == []


def test_pieces_of_longer_than_the_window_ago_do_not_count() -> None:
    lab = idle_lab()
    lab.meets()
    assert in_pieces(lab, 20, MUCH, pause=900) == []


def test_pieces_while_somebody_used_it_do_not_count() -> None:
    lab = idle_lab()
    lab.meets()
    in_pieces(lab, 3, MUCH)
    lab.is_("foreground")
    in_pieces(lab, 5, MUCH)
    lab.is_("background")
    assert in_pieces(lab, 2, MUCH) == []
    assert len(lab.seconds(50, MUCH)) == 1


def test_pieces_that_are_allowed_are_counted_as_allowed() -> None:
    lab = idle_lab(allow=[{"name": "wanted", "countries": ["CN"]}])
    lab.meets()
    assert in_pieces(lab, 6, MUCH) == []
    assert lab.engine.allowed == {"background_upload": 1}


def test_a_fresh_look_is_asked_for_before_it_fires_and_not_without_need() -> None:
    lab = idle_lab()
    lab.meets()
    lab.seconds(29, MUCH)
    assert lab.engine.take_suspects() == set()
    lab.seconds(3, MUCH)
    assert lab.engine.take_suspects() == {PHONE}
    assert lab.engine.take_suspects() == set()
    lab.seconds(60, MUCH)
    lab.engine.take_suspects()
    lab.seconds(60, MUCH)
    assert lab.engine.take_suspects() == set()  # it fired


# The states around it.


def test_what_began_in_front_counts_from_when_it_is_behind() -> None:
    lab = Lab(BackgroundUpload)
    lab.meets()
    lab.is_("foreground")
    lab.seconds(300, Move(0, 1_000_000))
    lab.is_("background")
    assert lab.seconds(60, MUCH) == []
    [alert] = lab.second(MUCH)
    assert alert.measured["window_bytes"] == 305_000
    assert alert.started_at == START + 300 * SECOND + SECOND // 2


@pytest.mark.parametrize("meanwhile", ["foreground", "unknown"])
def test_a_person_in_the_middle_begins_it_anew(meanwhile: Any) -> None:
    lab = idle_lab()
    lab.meets()
    lab.seconds(40, MUCH)
    lab.is_(meanwhile)
    lab.seconds(10, MUCH)
    lab.is_("background")
    assert lab.seconds(60, MUCH) == []
    assert len(lab.second(MUCH)) == 1


def test_an_alert_ends_where_somebody_takes_the_phone() -> None:
    lab = idle_lab()
    lab.meets()
    [fired] = lab.seconds(61, MUCH)
    lab.is_("foreground")
    [over] = lab.seconds(200, Move(0, 1_000_000))
    assert (over.id, over.state, over.measured["uploaded_bytes"]) == (fired.id, "resolved", 305_000)
    assert over.evidence.foreground.state == "background"  # what it rests on


def test_what_only_a_schedule_says_is_for_another_rule() -> None:
    lab = Lab(BackgroundUpload)
    lab.meets()
    lab.is_("background", source="schedule")
    assert lab.seconds(300, MUCH) == []


def test_what_is_only_inferred_is_never_more_than_info() -> None:
    lab = Lab(BackgroundUpload, {"severity": "critical"})
    lab.meets()
    lab.is_("background", source="inferred")
    [fired] = lab.seconds(61, MUCH)
    assert fired.severity == "info"
    assert fired.summary.endswith("in 60 s while its traffic looked as if nobody used it.")
    lab.is_("background", source="push", since=START)
    [over] = lab.waits(200)
    assert over.severity == "info"


def test_a_contradiction_shows() -> None:
    lab = Lab(BackgroundUpload)
    lab.meets()
    lab.is_("background", contradicted_by=("home_assistant",))
    [alert] = lab.seconds(61, MUCH)
    assert alert.measured["contradicted_by"] == ["home_assistant"]
    assert str(alert.measured["timeline"]).endswith("contradicted by home_assistant']")


# What is fine.


def test_what_the_owner_allows_is_counted_as_allowed_once() -> None:
    lab = idle_lab(allow=[allow()])
    lab.meets()
    assert lab.seconds(300, MUCH) == []
    assert lab.engine.allowed == {"background_upload": 1}
    lab.waits(100)
    lab.seconds(70, MUCH)
    assert lab.engine.allowed == {"background_upload": 2}


@pytest.mark.parametrize(
    "table",
    [
        {"clients": [TABLET]},
        {"owners": ["Alibaba"]},
        {"domains": ["mi.com"]},
        {"detectors": ["idle_drip"]},
        {"enabled": False},
        {"max_bytes": "300KB"},
    ],
)
def test_what_is_not_quite_allowed(table: dict[str, Any]) -> None:
    lab = idle_lab(allow=[allow(**table)])
    lab.meets(V4, CHINA, "notmi.com")
    assert len(lab.seconds(61, MUCH)) == 1


def test_a_cap_is_over_the_window_however_it_is_chopped() -> None:
    lab = idle_lab(allow=[allow(max_bytes="1MB")])
    lab.meets()
    fired = []
    for _ in range(4):
        fired.append(len(lab.seconds(61, MUCH)))
        lab.waits(120)
    assert fired == [0, 0, 0, 1]  # 1,220 KB within the hour


@pytest.mark.parametrize(("watches", "alerts"), [([], 0), ([{"name": "china", "countries": ["CN"]}], 1)])
def test_a_shipped_list_does_not_hold_at_watched_places_and_the_owners_word_does(watches: Any, alerts: int) -> None:
    shipped = idle_lab(shipped=[allow()], watches=watches)
    shipped.meets()
    assert len(shipped.seconds(100, MUCH)) == alerts
    own = idle_lab(allow=[allow()], watches=watches)
    own.meets()
    assert own.seconds(100, MUCH) == []


def test_what_is_allowed_does_not_hide_what_is_not() -> None:
    lab = idle_lab(allow=[allow(domains=["backup.example"])])
    lab.meets(V4, CHINA, "backup.example", row=0)
    lab.meets(V6, CHINA, "other.example", row=1)
    [alert] = lab.seconds(61, Move(0, 500_000), Move(1, 5_000))
    assert alert.measured["uploaded_bytes"] == 305_000
    assert alert.destination is not None
    assert alert.destination.name == "other.example"
    lab.seconds(10, Move(0, 500_000))
    [now] = lab.engine.alerts()
    assert now.measured["uploaded_bytes"] == 305_000


# A client that is out to hide.


@pytest.mark.parametrize("address", [V4, V6])
def test_what_a_server_sends_back_does_not_hide_an_upload(address: str) -> None:
    lab = idle_lab()
    lab.meets(address)
    assert len(lab.seconds(61, Move(0, 100_000, 300_000))) == 1


def test_a_borrowed_name_at_a_foreign_owner_is_not_allowed() -> None:
    lab = idle_lab(shipped=[{"name": "push", "owners": ["Google"], "domains": ["fcm.googleapis.com"]}])
    lab.meets(V4, CHINA, "fcm.googleapis.com")
    assert len(lab.seconds(61, MUCH)) == 1


def test_names_that_change_all_the_time_do_not_split_an_upload() -> None:
    tables = [
        {"name": name, "owners": ["Google"], "domains": [f"{name}.example"], "max_bytes": "1KB"} for name in "abcd"
    ]
    lab = idle_lab(shipped=tables)
    contact = lab.meets("8.8.8.8", GOOGLE, "x.example")
    alerts = []
    for second in range(61):
        lab.calls(contact, f"{'abcd'[second % 4]}.example")
        alerts += lab.second(MUCH)
    assert len(alerts) == 1
    assert alerts[0].measured["uploaded_bytes"] == 305_000


def test_several_names_do_not_add_up_their_caps_for_one_allowance() -> None:
    shipped = [
        {"name": "services", "owners": ["Google"], "max_bytes": "400KB"},
        {"name": "push", "owners": ["Google"], "domains": ["mtalk.google.com"], "max_bytes": "1KB"},
    ]
    lab = idle_lab(shipped=shipped)
    lab.meets("8.8.8.8", GOOGLE, row=0)
    lab.meets("8.8.4.4", GOOGLE, "mtalk.google.com", row=1)
    assert lab.seconds(60, Move(0, 2_500), Move(1, 2_500)) == []
    assert len(lab.seconds(41, Move(0, 2_500), Move(1, 2_500))) == 1


@pytest.mark.parametrize("place", [Place(), Place("CN")])
def test_an_owner_that_is_only_known_by_name_stays_what_it_was(place: Place) -> None:
    lab = idle_lab()
    contact = lab.meets(V4, place)
    alerts = []
    for second in range(100):
        if second:
            lab.calls(contact, f"a.name{second}.example")
        alerts += lab.second(MUCH)
    assert len(alerts) == 1


def test_a_name_that_is_learned_late_neither_loses_the_upload_nor_the_alert() -> None:
    lab = idle_lab(
        allow=[allow(owners=["Xiaomi"]), {"name": "drip", "domains": ["mi.com"], "detectors": ["idle_drip"]}]
    )
    contact = lab.meets()
    lab.seconds(30, MUCH)
    lab.calls(contact, "api.mi.com")
    [fired] = lab.seconds(31, MUCH)
    lab.calls(contact, "other.example", "api.mi.com")
    assert lab.seconds(10, MUCH) == []
    [now] = lab.engine.alerts()
    assert (now.id, now.measured["uploaded_bytes"]) == (fired.id, 71 * 5_000)


def test_a_client_that_goes_through_thousands_of_owners_hides_nothing() -> None:
    lab = idle_lab()
    lab.is_("background", TABLET)
    lab.meets(row=0)
    lab.meets(row=1, client=TABLET)
    alerts = []
    for second in range(61):
        decoys = range(2, 102)
        for row in decoys:
            lab.meets(f"9.{second}.0.{row}", Place("US", 70_000 + second * 100 + row), row=row)
        alerts += lab.second(MUCH, Move(1, 5_000), *(Move(row, 1) for row in decoys))
        for row in decoys:
            lab.engine.forgotten(row)
    assert {alert.client.id for alert in alerts} == {PHONE, TABLET}
    assert lab.detector.followed.evicted > 0


# While it goes on, and after.


def test_it_fires_once_grows_and_resolves_with_totals() -> None:
    lab = idle_lab()
    lab.meets()
    [fired] = lab.seconds(61, MUCH)
    assert lab.seconds(600, MUCH) == []
    [now] = lab.engine.alerts()
    assert (now.id, now.state, now.measured["uploaded_bytes"]) == (fired.id, "firing", 661 * 5_000)
    assert lab.waits(118) == []
    [over] = lab.waits(10)
    assert (over.id, over.state) == (fired.id, "resolved")
    assert over.resolved_at == over.updated_at == over.evidence.last_seen + 120 * SECOND
    assert over.summary == (
        "Redmi Note (Xiaomi) sent 3.3 MB to China Unicom Beijing in China (42.62.48.10) in 11 min "
        "while its screen was off."
    )
    assert lab.engine.alerts() == [over]


def test_what_only_acknowledges_a_download_does_not_keep_it_open_and_is_not_called_sent() -> None:
    lab = idle_lab()
    lab.meets()
    lab.seconds(61, MUCH)
    [over] = lab.seconds(300, Move(0, 0, 5_000_000, 100_000))
    assert over.state == "resolved"
    assert "sent 305.0 KB to" in over.summary


def test_nothing_of_what_is_allowed_is_in_the_evidence() -> None:
    lab = idle_lab(allow=[allow(domains=["updates.example"])])
    lab.meets(V4, CHINA, "other.example", row=0)
    lab.meets(V6, CHINA, "updates.example", row=1)
    lab.seconds(61, MUCH)
    lab.seconds(60, Move(0, 0, 60, 60), Move(1, 0, 5_000_000, 100_000))
    [now] = lab.engine.alerts()
    assert now.evidence.sent_bytes == 61 * 5_160 + 60 * 60


def test_what_comes_after_it_was_over_is_another_alert() -> None:
    lab = idle_lab({"resolve_after": "10s"})
    lab.meets()
    [first] = lab.seconds(61, MUCH)
    [over] = lab.waits(30)
    assert over.state == "resolved"
    assert lab.seconds(60, MUCH) == []  # the pause was short, but that alert is over
    [second] = lab.second(MUCH)
    assert (second.fingerprint == first.fingerprint, second.id == first.id) == (True, False)


def test_a_second_that_comes_late_closes_it_first() -> None:
    lab = idle_lab({"resolve_after": "10s"})
    lab.meets()
    lab.seconds(61, MUCH)
    lab.now += 30 * SECOND  # no tick in between
    assert [alert.state for alert in lab.second(MUCH)] == ["resolved"]
    assert lab.engine.alerts()[0].state == "resolved"


def test_a_clock_step_ends_everything() -> None:
    lab = idle_lab()
    lab.meets()
    [fired] = lab.seconds(61, MUCH)
    [over] = lab.steps(-14 * 86_400)
    assert (over.id, over.state) == (fired.id, "resolved")
    lab.states.changes.clear()
    lab.is_("background")
    assert lab.seconds(60, MUCH) == []
    assert len(lab.second(MUCH)) == 1


def test_a_step_ends_an_upload_that_is_no_alert_yet() -> None:
    lab = idle_lab()
    lab.meets()
    lab.seconds(40, MUCH)
    assert lab.steps(21 * 86_400) == []
    assert lab.seconds(60, MUCH) == []


def test_time_that_wobbles_costs_nothing() -> None:
    lab = idle_lab()
    lab.meets()
    alerts = []
    for second in range(100):
        alerts += lab.second(MUCH)
        if second % 3 == 2:
            lab.now -= SECOND
    assert len(alerts) == 1


def test_no_more_than_the_cap_are_open_and_a_client_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "MAX_CASES", 3)
    lab = idle_lab()
    lab.is_("background", TABLET)
    for row in range(5):
        lab.meets(f"9.0.0.{row}", Place("US", row + 1), row=row)
    lab.meets(row=5, client=TABLET)
    alerts = lab.seconds(61, *(Move(row, 5_000) for row in range(6)))
    assert [alert.client.id for alert in alerts].count(PHONE) == 3
    assert [alert.client.id for alert in alerts].count(TABLET) == 1
    assert lab.engine.suppressed == {"background_upload": 2}


def test_no_more_than_the_cap_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "MAX_ACTIVE", 1)
    lab = idle_lab()
    lab.is_("background", TABLET)
    lab.meets(row=0)
    lab.meets(row=1, client=TABLET)
    assert len(lab.seconds(70, MUCH, Move(1, 5_000))) == 1
    assert lab.engine.suppressed == {"background_upload": 1}


def test_every_run_says_the_same() -> None:
    first, second = idle_lab(), idle_lab()
    for lab in (first, second):
        lab.meets()
    assert first.seconds(100, MUCH) == second.seconds(100, MUCH) != []


def test_the_fingerprint_does_not_depend_on_what_is_allowed_or_watched() -> None:
    plain, with_lists = (
        idle_lab(),
        idle_lab(allow=[allow(detectors=["idle_drip"])], watches=[{"name": "china", "countries": ["CN"]}]),
    )
    for lab in (plain, with_lists):
        lab.meets()
    [one], [other] = plain.seconds(61, MUCH), with_lists.seconds(61, MUCH)
    assert (one.fingerprint, one.id) == (other.fingerprint, other.id)
    assert other.measured["watch"] == "china"


def test_hostile_names_are_shown_escaped_and_cut() -> None:
    lab = idle_lab()
    lab.clients[PHONE] = replace(lab.clients[PHONE], name="\x1b[31mred\u202e")
    lab.meets(V4, Place("CN", 1, "\n" * 300), "\u202e" * 300)
    [alert] = lab.seconds(61, MUCH)
    assert alert.summary.isprintable()
    assert len(alert.summary) <= 1_000
    assert alert.summary.endswith("in 60 s while its screen was off.")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"window": "30s"}, "window: expected at least 1m"),
        ({"window": "5m", "for": "6m"}, "window: expected at least 1m, and no less than `for`"),
        ({"for": 5}, "for: expected text like"),
    ],
)
def test_what_does_not_fit_together(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        build(Settings, settings)
