"""What people are told, and when; and that nothing is held back silently."""

from typing import Any

import pytest

from sensor.base.hours import QuietHours, Zone
from sensor.config import parse
from sensor.deliver.memory import MAX_HELD, MAX_RUNNING
from sensor.deliver.routing import FEW, NotifySettings, Outgoing, Router
from sensor.deliver.together import SHOWN
from sensor.errors import ConfigError
from sensor.model.told import Told

SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND
PHONE, TABLET = "60:38:e0:c5:35:a0", "64:09:80:00:00:02"


def alert(number: int = 1, client: str = PHONE, *, state: str = "firing", severity: str = "warning") -> dict[str, Any]:
    return {
        "id": f"i{client}{number}",
        "fingerprint": f"f{client}{number}",
        "detector": "background_upload",
        "severity": severity,
        "state": state,
        "client": {"mac": client, "name": None, "vendor": None, "addresses": []},
        "summary": f"{client} sent {number} MB",
    }


class Lab:
    """A router, and time."""

    def __init__(self, settings: NotifySettings | None = None, **more: Any) -> None:
        self.now = START
        self.quiet = False
        self.settings = settings or NotifySettings()
        self.rows: dict[str, Told] = {}
        self.more = more
        self.router = Router(self.settings, quiet=lambda _: self.quiet, **more)

    def take(self, *alerts: dict[str, Any]) -> list[Outgoing]:
        return [out for each in alerts for out in self.router.take(each, self.now)]

    def people(self, *alerts: dict[str, Any]) -> list[str]:
        return [out.notice.kind for out in self.take(*alerts) if out.audience == "people"]

    def restart(self, away: int = 0) -> "Lab":
        """Killed, and started again `away` seconds later with what the store has."""
        self.changes()
        again = Lab(self.settings, **self.more)
        again.now, again.quiet = self.now + away * SECOND, self.quiet
        again.rows = {name: row for name, row in self.rows.items() if row.facts is not None}
        again.router.load(again.rows.values(), again.now)
        return again

    def changes(self) -> list[Told]:
        """What was to be stored, all in all."""
        rows = self.router.memory.changes()
        self.rows |= {row.fingerprint: row.after(self.rows.get(row.fingerprint)) for row in rows}
        return rows

    def wait(self, seconds: int) -> list[Outgoing]:
        """Second by second."""
        found: list[Outgoing] = []
        for _ in range(seconds):
            self.now += SECOND
            found += self.router.tick(self.now)
        return found


def test_programs_get_every_state_at_once_and_people_the_first() -> None:
    lab = Lab()
    both = lab.take(alert())
    assert [out.audience for out in both] == ["programs", "people"]
    assert both[0].notice.alerts == (alert(),)
    assert both[1].notice.lines == (f"{PHONE} sent 1 MB",)


def test_what_one_client_raises_within_the_wait_goes_out_together() -> None:
    lab = Lab()
    assert lab.people(alert(1), alert(2), alert(3)) == ["alert"]
    [group] = lab.wait(30)
    assert (group.notice.kind, len(group.notice.alerts)) == ("group", 2)
    assert group.notice.title == "2 alerts of 1 client"


def test_an_end_is_told_where_its_beginning_was() -> None:
    lab = Lab()
    lab.take(alert())
    lab.wait(60)
    [over] = [out.notice for out in lab.take(alert(state="resolved")) if out.audience == "people"]
    assert (over.state, over.title) == ("resolved", "over: background upload")
    assert lab.people(alert(9, state="resolved")) == []


def test_the_same_alert_is_not_told_again_so_soon() -> None:
    lab = Lab()
    lab.take(alert())
    lab.wait(60)
    assert lab.people(alert(state="resolved")) == ["alert"]
    lab.wait(600)
    assert lab.people(alert()) == []
    assert lab.router.suppressed["cooldown"] == 1
    lab.wait(3_700)
    assert lab.people(alert()) == ["alert"]


def test_who_goes_on_is_told_of_once_a_day_with_an_id_of_its_own() -> None:
    lab = Lab(NotifySettings())
    [first] = [out.notice for out in lab.take(alert()) if out.audience == "people"]
    lab.now += 86_400 * SECOND
    [again] = lab.wait(1)
    assert (again.notice.key, again.notice.state) == (first.key, "firing")
    assert again.notice.id != first.id
    assert lab.wait(60) == []


def test_quiet_hours_end_with_a_digest_and_critical_comes_through() -> None:
    lab = Lab()
    lab.quiet = True
    assert lab.people(alert(1), alert(2, TABLET)) == []
    assert lab.people(alert(3, severity="critical")) == ["alert"]
    assert lab.wait(600) == []
    lab.quiet = False
    [digest] = lab.wait(1)
    assert (digest.notice.kind, digest.notice.title) == ("digest", "held back until now: 2 alerts of 2 clients")
    assert lab.router.suppressed["quiet"] == 2


def test_what_was_over_before_the_digest_says_so() -> None:
    lab = Lab()
    lab.quiet = True
    lab.take(alert())
    lab.take(alert(state="resolved"))
    lab.quiet = False
    [digest] = lab.wait(1)
    assert digest.notice.state == "resolved"
    assert digest.notice.lines == (f"over: {PHONE} sent 1 MB",)


def test_a_storm_ends_as_a_handful_of_messages_and_nothing_is_lost() -> None:
    lab = Lab()
    storm = [alert(1, f"02:00:00:00:{at // 256:02x}:{at % 256:02x}") for at in range(500)]
    out = lab.take(*storm)
    messages = [each.notice for each in (*out, *lab.wait(120)) if each.audience == "people"]
    assert len([each for each in out if each.audience == "programs"]) == 500
    assert [each.kind for each in messages] == ["alert"] * FEW + ["group"]
    assert messages[-1].title == f"{500 - FEW} alerts of {500 - FEW} clients"
    assert len(messages[-1].lines) == SHOWN + 1
    assert messages[-1].lines[-1] == f"and {500 - FEW - SHOWN} more"


def test_a_few_clients_get_a_message_each() -> None:
    lab = Lab()
    lab.take(alert())
    lab.take(*(alert(2, f"02:00:00:00:00:{at:02x}") for at in range(FEW)))
    kinds = [out.notice.kind for out in lab.wait(31) if out.audience == "people"]
    assert kinds.count("alert") + kinds.count("group") <= FEW
    assert lab.wait(60) == []


def test_a_cap_per_hour_and_then_the_number_of_the_rest() -> None:
    lab = Lab(NotifySettings(max_per_hour=3, cooldown=0))  # type: ignore[arg-type]
    told = 0
    for number in range(20):
        told += len(lab.people(alert(number)))
        told += len([out for out in lab.wait(60) if out.audience == "people"])
    assert told == 3
    assert lab.router.suppressed["cap"] == 17
    assert lab.people(alert(99, severity="critical")) == ["alert"]
    lab.now += 3_600 * SECOND
    rest = [out.notice for out in lab.wait(5) if out.notice.kind == "rest"]
    assert [each.title for each in rest] == ["17 more alerts of 1 client"]


def test_what_is_muted_is_counted() -> None:
    lab = Lab(muted=lambda alert, now: "muted")
    assert lab.take(alert()) == []
    assert lab.router.suppressed["muted"] == 1
    assert lab.take(alert(state="resolved")) == [], "nobody was told of its beginning"


class Silent:
    """A lab in which what is silenced, and why, can be said."""

    def __init__(self) -> None:
        self.why: dict[str, str] = {}
        self.paused = False
        self.lab = Lab(
            NotifySettings(), muted=lambda alert, _: self.why.get(alert["fingerprint"]), paused=lambda _: self.paused
        )

    def silence(self, why: str | None, *alerts: dict[str, Any]) -> None:
        for each in alerts:
            if why is None:
                del self.why[each["fingerprint"]]
            else:
                self.why[each["fingerprint"]] = why


def told(messages: list[Outgoing]) -> list[tuple[str, str, str]]:
    return [(out.audience, out.notice.kind, out.notice.state) for out in messages]


def test_an_end_is_told_where_its_beginning_was_although_it_was_muted_meanwhile() -> None:
    silent = Silent()
    silent.lab.take(alert())
    silent.silence("muted", alert())
    silent.lab.wait(60)
    over = told(silent.lab.take(alert(state="resolved")))
    assert over == [("programs", "alert", "resolved"), ("people", "alert", "resolved")]
    assert silent.lab.wait(60) == []


def test_what_is_muted_while_it_waits_is_not_told() -> None:
    silent = Silent()
    silent.lab.take(alert(1), alert(2), alert(3))
    silent.silence("muted", alert(2))
    [group] = silent.lab.wait(31)
    assert [each["id"] for each in group.notice.alerts] == [alert(3)["id"]]
    assert silent.lab.router.suppressed["muted"] == 1


def test_a_mute_that_is_over_tells_of_what_still_fires() -> None:
    silent = Silent()
    silent.silence("muted", alert(1), alert(2))
    assert silent.lab.take(alert(1), alert(2), alert(2, state="resolved")) == []
    assert silent.lab.wait(60) == []
    silent.silence(None, alert(1), alert(2))
    assert told(silent.lab.wait(60)) == [("programs", "alert", "firing"), ("people", "digest", "firing")]
    assert told(silent.lab.take(alert(1, state="resolved"))) == [
        ("programs", "alert", "resolved"),
        ("people", "alert", "resolved"),
    ]


def test_what_is_acknowledged_has_no_reminder_and_an_end() -> None:
    silent = Silent()
    silent.lab.take(alert())
    silent.silence("acknowledged", alert())
    silent.lab.now += 3 * 86_400 * SECOND
    assert silent.lab.wait(60) == []
    assert told(silent.lab.take(alert(state="resolved"))) == [
        ("programs", "alert", "resolved"),
        ("people", "alert", "resolved"),
    ]


def test_programs_hear_of_what_is_acknowledged() -> None:
    silent = Silent()
    silent.silence("acknowledged", alert())
    assert told(silent.lab.take(alert())) == [("programs", "alert", "firing")]
    assert silent.lab.router.suppressed["acknowledged"] == 1


def test_maintenance_is_silent_and_tells_afterwards_of_what_still_fires_or_ended() -> None:
    silent = Silent()
    silent.lab.take(alert(1))
    silent.paused = True
    others = alert(2, TABLET), alert(3, TABLET), alert(3, TABLET, state="resolved")
    assert told(silent.lab.take(alert(1, state="resolved"))) == [("programs", "alert", "resolved")]
    assert silent.lab.take(*others, alert(4, severity="critical")) == []
    assert silent.lab.wait(3_600) == []
    assert silent.lab.router.suppressed["maintenance"] == 5
    silent.paused = False
    out = silent.lab.wait(11)
    assert sorted(each.notice.id for each in out if each.audience == "programs") == sorted(
        [f"{alert(2, TABLET)['id']}.firing", f"{alert(4)['id']}.firing"]
    )
    [digest] = [each.notice for each in out if each.audience == "people"]
    assert (digest.kind, len(digest.alerts)) == ("digest", 3)
    assert silent.lab.wait(60) == []


def test_critical_after_maintenance_does_not_wait_for_the_end_of_quiet_hours() -> None:
    silent = Silent()
    silent.paused = silent.lab.quiet = True
    silent.lab.take(alert(1), alert(2, TABLET, severity="critical"))
    silent.paused = False
    people = [each.notice for each in silent.lab.wait(11) if each.audience == "people"]
    assert [(each.kind, each.severity) for each in people] == [("alert", "critical")]
    silent.lab.quiet = False
    assert told(silent.lab.wait(1)) == [("people", "digest", "firing")]


def test_what_programs_know_already_is_not_told_to_them_again() -> None:
    silent = Silent()
    silent.lab.take(alert(1), alert(2))
    silent.silence("muted", alert(2))
    assert silent.lab.wait(31) == []
    silent.silence(None, alert(2))
    assert told(silent.lab.wait(11)) == [("people", "digest", "firing")]


def test_a_group_that_waited_when_maintenance_began_is_told_when_it_ends() -> None:
    silent = Silent()
    silent.lab.take(alert(1), alert(2))
    silent.paused = True
    assert silent.lab.wait(60) == []
    silent.paused = False
    assert told(silent.lab.wait(1)) == [("people", "alert", "firing")]


def test_what_ended_and_began_anew_in_maintenance_goes_on_for_people() -> None:
    silent = Silent()
    silent.lab.take(alert(1))
    silent.paused = True
    anew = {**alert(1), "id": "another"}
    assert told(silent.lab.take(alert(1, state="resolved"), anew)) == [("programs", "alert", "resolved")]
    silent.paused = False
    assert told(silent.lab.wait(11)) == [("programs", "alert", "firing")], "people know that it fires"


@pytest.mark.parametrize("step", [-86_400, 86_400 * 365])
def test_a_clock_step_holds_nothing_back_for_ever(step: int) -> None:
    lab = Lab()
    lab.take(alert(1), alert(2))
    lab.now += step * SECOND
    assert [out.notice.kind for out in lab.wait(61) if out.audience == "people"]


def test_quiet_hours_as_they_are_configured() -> None:
    notify = parse({"notify": {"quiet": ["22:00-07:00", "Sat,Sun 00:00-10:00"], "timezone": "UTC"}}).notify
    router = Router(notify, quiet=notify.is_quiet)
    evening = 1_795_557_600 * SECOND  # Tuesday, 24 November 2026, 22:00
    assert [out.audience for out in router.take(alert(), evening)] == ["programs"]
    assert router.tick(evening + 9 * 3_600 * SECOND - 1) == []
    [digest] = router.tick(evening + 9 * 3_600 * SECOND)
    assert digest.notice.kind == "digest"
    assert not NotifySettings().is_quiet(evening)
    assert NotifySettings(quiet=(QuietHours("03:00-04:00"),), timezone=Zone("Asia/Kathmandu")).is_quiet(evening)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"quiet": ["at night"]}, r"^notify\.quiet: 'at night' are no hours; write them like 22:00-07:00 or Sat"),
        ({"quiet": "22:00-07:00"}, r"^notify\.quiet: expected a list"),
        ({"quiet": ["Xyz 22:00-07:00"]}, r"^notify\.quiet: 'xyz' is no day"),
        ({"timezone": "Mars"}, r"^notify\.timezone: no time zone 'Mars'"),
    ],
)
def test_settings(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse({"notify": settings})


def people(messages: list[Outgoing]) -> list[Any]:
    return [out.notice for out in messages if out.audience == "people"]


def programs(messages: list[Outgoing]) -> list[Any]:
    return [out.notice for out in messages if out.audience == "programs"]


class TestRestart:
    def test_what_waits_waits_on(self) -> None:
        lab = Lab()
        lab.quiet = True
        lab.take(alert(1), alert(2, TABLET))
        again = lab.restart().restart()
        assert again.wait(60) == []
        again.quiet = False
        [digest] = again.wait(1)
        assert digest.notice.title == "held back until now: 2 alerts of 2 clients"
        assert people(again.restart().wait(60)) == []

    def test_what_was_to_be_told_together_is(self) -> None:
        lab = Lab()
        lab.take(alert(1), alert(2), alert(3))
        [group] = people(lab.restart().wait(31))
        assert len(group.alerts) == 2

    def test_an_alert_that_fires_again_goes_on_and_its_end_is_told(self) -> None:
        lab = Lab()
        [first] = people(lab.take(alert()))
        again = lab.restart(away=7_200)  # longer than the cooldown
        next_id = {**alert(), "id": "another"}
        assert people(again.take(next_id)) == []
        assert again.router.suppressed["continuing"] == 1
        assert people(again.wait(3_700)) == []
        [over] = people(again.take({**next_id, "state": "resolved"}))
        assert (over.state, over.key) == ("resolved", first.key), "so that it edits or answers the first message"

    def test_within_the_cooldown_of_what_was_over_before_the_restart(self) -> None:
        lab = Lab()
        lab.take(alert())
        lab.wait(60)
        lab.take(alert(state="resolved"))
        again = lab.restart(away=600)
        assert people(again.take(alert())) == []
        assert again.router.suppressed["cooldown"] == 1

    def test_an_alert_that_does_not_fire_again_is_over_after_an_hour(self) -> None:
        lab = Lab()
        lab.take(alert(1), alert(2, TABLET))
        again = lab.restart(away=86_400 * 2)
        again.take(alert(2, TABLET))
        reminder = people(again.wait(3_590))
        assert [each.state for each in reminder] == ["firing"], "they had gone on for two days, as far as is known"
        ends = again.wait(60)
        for [over] in (people(ends), programs(ends)):
            assert (over.state, over.alerts[0]["fingerprint"]) == ("resolved", f"f{PHONE}1")
            assert over.lines == (f"{PHONE} sent 1 MB (not seen again since the sensor restarted)",)
        assert over.alerts[0]["resolved_at"] > "2026"
        again.now += 86_400 * 3 * SECOND
        assert [each.alerts[0]["fingerprint"] for each in people(again.wait(1))] == [f"f{TABLET}2"]

    def test_new_alerts_do_not_put_off_their_end(self) -> None:
        lab = Lab()
        lab.take(alert())
        again = lab.restart()
        again.wait(1)
        for _ in range(3_600):
            again.now += SECOND
            again.take(alert(9, TABLET))
        assert [out.notice.state for out in again.wait(1)] == ["resolved", "resolved"]

    def test_many_of_them_end_some_at_a_time(self) -> None:
        lab = Lab()
        lab.take(*(alert(1, f"02:00:00:00:{at // 256:02x}:{at % 256:02x}") for at in range(250)))
        lab.wait(60)
        again = lab.restart()
        again.wait(3_598)
        assert [len(programs(again.wait(1))) for _ in range(5)] == [0, 100, 100, 50, 0]
        assert len(people(again.wait(120))) <= FEW + 1

    def test_the_cap_holds_over_restarts(self) -> None:
        lab = Lab(NotifySettings(max_per_hour=3))  # type: ignore[arg-type]
        for number in range(6):
            lab.take(alert(number, f"02:00:00:00:00:{number:02x}"))
            lab.wait(40)
            lab = lab.restart()
        [rest] = people(lab.wait(3_400))
        assert rest.title == "3 more alerts of 3 clients"

    def test_a_clock_that_is_set_after_the_start_ends_nothing_early(self) -> None:
        lab = Lab()
        lab.take(alert())
        again = lab.restart(away=-86_400 * 30)
        again.wait(2)
        again.now += 86_400 * 30 * SECOND
        assert [each.state for each in people(again.wait(3_500))] == ["firing"], "a reminder"
        assert people(again.take(alert())) == []


def test_nobody_is_told_of_an_end_that_had_no_beginning_even_if_it_was_critical() -> None:
    silent = Silent()
    silent.silence("muted", alert())
    silent.lab.take(alert(severity="critical"))
    silent.silence(None, alert())
    assert silent.lab.take(alert(severity="critical", state="resolved")) == []
    assert silent.lab.wait(60) == []
    assert list(silent.lab.router.memory.live()) == []


def test_a_flood_of_lesser_alerts_does_not_end_a_critical_one_at_programs() -> None:
    lab = Lab()
    lab.take(alert(1, severity="critical"))
    lab.take(*(alert(number, TABLET, severity="info") for number in range(MAX_RUNNING + 100)))
    firing = [each["id"] for each in lab.router.firing(lab.now)]
    assert (len(firing), firing[0]) == (MAX_RUNNING, alert(1)["id"])


class TestMutedFlood:
    """More alerts than have room, all of which somebody muted."""

    def flooded(self) -> Silent:
        silent = Silent()
        flood = [alert(number, TABLET) for number in range(MAX_HELD + 100)]
        silent.silence("muted", *flood)
        silent.lab.take(*flood)
        return silent

    def test_it_is_not_told_of_when_maintenance_is_over(self) -> None:
        silent = self.flooded()
        silent.lab.wait(1)
        silent.paused = True
        silent.lab.wait(60)
        silent.paused = False
        assert silent.lab.wait(60) == []

    def test_in_maintenance_critical_alerts_and_ends_have_room_all_the_same(self) -> None:
        silent = self.flooded()
        silent.lab.take(alert(2))
        silent.lab.wait(1)
        silent.paused = True
        silent.lab.take(alert(1, severity="critical"), alert(2, state="resolved"))
        silent.paused = False
        programs, digest = silent.lab.wait(60)
        assert (programs.audience, programs.notice.key) == ("programs", alert(1)["id"])
        assert [each["id"] for each in digest.notice.alerts] == [alert(1)["id"], alert(2)["id"]]

    def test_a_count_from_maintenance_that_ended_while_the_sensor_was_down_is_told(self) -> None:
        silent = Silent()
        silent.paused = True
        silent.lab.take(*(alert(number, TABLET) for number in range(MAX_HELD + 100)))
        silent.paused = False
        *_, digest = silent.lab.restart().wait(20)
        assert digest.notice.title == f"held back until now: {MAX_HELD + 100:,} alerts of at least 1 client"


class TestSilenceAndRestart:
    def test_what_fires_when_maintenance_ends_is_told_although_the_sensor_was_killed_in_it(self) -> None:
        silent = Silent()
        silent.paused = True
        silent.lab.take(alert())
        again = silent.lab.restart()
        assert again.wait(60) == []
        silent.paused = False
        assert told(again.wait(11)) == [("programs", "alert", "firing"), ("people", "digest", "firing")]

    def test_what_was_muted_and_is_not_seen_again_is_over_in_silence(self) -> None:
        silent = Silent()
        silent.silence("muted", alert())
        silent.lab.take(alert())
        again = silent.lab.restart()
        assert again.wait(3_700) == []
        silent.silence(None, alert())
        assert again.wait(60) == []
        assert list(again.router.memory.live()) == []

    def test_so_is_what_was_critical(self) -> None:
        silent = Silent()
        silent.silence("muted", alert())
        silent.lab.take(alert(severity="critical"))
        assert silent.lab.restart().wait(3_700) == []

    def test_what_is_not_seen_again_is_said_to_be_gone_so_that_its_acknowledgement_ends(self) -> None:
        gone: list[str] = []
        lab = Lab(gone=lambda alert, _: gone.append(alert["fingerprint"]))
        lab.take(alert())
        lab.restart().wait(3_700)
        assert gone == [alert()["fingerprint"]]

    def test_programs_are_not_told_again_of_what_is_muted(self) -> None:
        silent = Silent()
        silent.lab.take(alert(1), alert(2))
        silent.silence("muted", alert(2))
        assert [each["id"] for each in silent.lab.router.firing(silent.lab.now)] == [alert(1)["id"]]

    def test_a_clock_set_back_does_not_put_off_what_may_be_heard_again(self) -> None:
        silent = Silent()
        silent.silence("muted", alert())
        silent.lab.take(alert())
        silent.lab.wait(60)
        silent.lab.now -= 86_400 * SECOND
        silent.lab.wait(1)
        silent.silence(None, alert())
        assert told(silent.lab.wait(11)) == [("programs", "alert", "firing"), ("people", "digest", "firing")]


class TestClock:
    def test_set_back_a_little_it_tells_nothing_twice(self) -> None:
        lab = Lab()
        lab.take(alert())
        lab.now -= 5 * SECOND
        assert lab.wait(3) == []
        assert people(lab.take(alert())) == []

    def test_set_back_a_year_cooldown_and_reminder_begin_anew(self) -> None:
        lab = Lab()
        lab.take(alert())
        lab.now -= 86_400 * 365 * SECOND
        assert lab.wait(5) == []
        lab.now += 86_400 * SECOND
        assert [each.state for each in people(lab.wait(1))] == ["firing"]

    def test_set_back_the_cap_ends_within_an_hour(self) -> None:
        lab = Lab(NotifySettings(max_per_hour=1))  # type: ignore[arg-type]
        lab.take(alert(1))
        lab.now -= 86_400 * 365 * SECOND
        lab.take(alert(2, TABLET))
        assert [each.kind for each in people(lab.wait(3_700))] == ["rest"]

    def test_set_forward_into_quiet_hours_nothing_is_lost(self) -> None:
        lab = Lab()
        lab.take(alert(1), alert(2))
        lab.now += 86_400 * 365 * SECOND
        lab.quiet = True
        assert people(lab.wait(5)) == []
        lab.quiet = False
        digest, again = people(lab.wait(1))
        assert (digest.title, again.alerts[0]["summary"]) == (
            "held back until now: 1 alert of 1 client", alert(1)["summary"],
        )  # fmt: skip


def test_what_waits_when_quiet_hours_begin_waits_for_their_end() -> None:
    lab = Lab()
    lab.take(alert(1), alert(2), alert(3, severity="critical"))
    lab.quiet = True
    [loud] = people(lab.wait(31))
    assert loud.alerts[0]["severity"] == "critical"
    lab.quiet = False
    [digest] = people(lab.wait(1))
    assert digest.title == "held back until now: 1 alert of 1 client"


def test_what_becomes_critical_while_it_waits_is_told() -> None:
    lab = Lab()
    lab.quiet = True
    lab.take(alert())
    assert lab.people(alert(severity="critical")) == ["alert"]
    lab.quiet = False
    assert lab.wait(60) == []


def test_an_end_that_waited_is_none_when_it_fires_again() -> None:
    lab = Lab()
    lab.take(alert())
    lab.quiet = True
    lab.take(alert(state="resolved"))
    lab.take(alert())
    lab.quiet = False
    assert lab.wait(60) == []
    [over] = people(lab.take(alert(state="resolved")))
    assert over.state == "resolved"


def test_ten_thousand_alerts_in_a_minute() -> None:
    """O8: a handful of messages, whose numbers add up with what is counted."""
    lab = Lab()
    told: list[Any] = []
    for number in range(10_000):
        told += people(lab.take(alert(number, f"02:00:00:00:{number % 500 // 256:02x}:{number % 256:02x}")))
        if number % 166 == 0:
            told += people(lab.wait(1))
    told += people(lab.wait(120))
    assert len(told) <= FEW + 3
    shown = sum(
        len(each.alerts) if each.kind == "alert" else int(each.title.split()[0].replace(",", "")) for each in told
    )
    assert shown == 10_000
    assert lab.router.suppressed["room"] > 0
