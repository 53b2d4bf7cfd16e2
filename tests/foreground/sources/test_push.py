"""What phones push, and what others try to."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.config import parse
from sensor.errors import ConfigError
from sensor.foreground.base import SourceFacts
from sensor.foreground.book import ForegroundBook
from sensor.foreground.fusion import Rules
from sensor.foreground.posts import FORM, JSON
from sensor.foreground.sources.push import MAX_REMEMBERED, Push
from sensor.model.foreground import Report
from sensor.model.posted import MAX_BODY, Answer, Posted

SECOND = 1_000_000_000
NOW = 1_790_000_000 * SECOND
PHONE, TABLET, GUEST = "60:38:e0:c5:35:a0", "60:38:e0:c5:35:a1", "02:00:00:00:00:07"
PHONE_TOKEN, TABLET_TOKEN, OPEN_TOKEN = "a-token-of-the-phone", "a-token-of-the-tablet", "a-token-for-whoever"
CONFIG: dict[str, Any] = {
    "client": [{"mac": PHONE, "name": "Redmi Note"}, {"mac": TABLET, "name": "Tablet"}],
    "foreground": {
        "push": {
            "phone": [
                {"client": "Redmi Note", "token": PHONE_TOKEN},
                {"client": TABLET, "token": TABLET_TOKEN},
                {"token": OPEN_TOKEN},
            ]
        }
    },
}


class Phones:
    """The source with a book behind it, and ways to push to it."""

    def __init__(self, config: dict[str, Any] = CONFIG, whose: Callable[[str], str | None] | None = None) -> None:
        settings = parse(config)
        [chosen] = settings.foreground.sources
        self.reports: list[Report] = []
        self.book = ForegroundBook(Rules())
        names = settings.client_names
        self.source = chosen.plugin(
            chosen.settings,
            SourceFacts(
                self._report,
                lambda: NOW,
                called=lambda client: names.get(client, client),
                ids={name: mac for mac, name in names.items()},
                whose=whose or {"192.0.2.7": GUEST, "2001:db8::7": GUEST}.get,
            ),
        )
        self.source.prepare()

    def _report(self, report: Report) -> bool:
        self.reports.append(report)
        return self.book.report(report)

    def post(
        self, body: bytes, token: str = PHONE_TOKEN, *, now: int = NOW, kind: str = JSON, sender: str = "192.0.2.9"
    ) -> Answer:
        before = len(self.reports), sum(self.source.counts.values())
        answer = self.source.accept(Posted(body, kind, f"Bearer {token}", sender), now)
        assert sum(self.source.counts.values()) == before[1] + 1, "every outcome is counted"
        if answer.status != 200:
            assert set(answer.body) == {"error"}
            assert len(self.reports) == before[0], "what is refused changes nothing"
        return answer

    def push(self, event: object, token: str = PHONE_TOKEN, *, now: int = NOW, sender: str = "", **more: Any) -> Answer:
        return self.post(json.dumps({"event": event, **more}).encode(), token, now=now, sender=sender or "192.0.2.9")


def test_a_report_as_macrodroid_sends_it() -> None:
    phones = Phones()
    answer = phones.push("app_opened", app="com.foo", label="Foo", time=1_790_000_000.25, sequence=7, interval=60)
    assert (answer.status, answer.body) == (200, {"accepted": True})
    assert phones.reports == [
        Report(PHONE, "push", "app_opened", "com.foo", NOW + SECOND // 4, NOW, sequence=7, interval=60 * SECOND)
    ]
    assert phones.source.counts["accepted"] == 1


def test_a_form_as_tasker_sends_it() -> None:
    phones = Phones()
    answer = phones.post(b"event=app_opened&label=Foo+Bar&ts=1790000001000&app=", kind=f"{FORM}; charset=UTF-8")
    assert answer.body == {"accepted": True}
    assert phones.reports == [Report(PHONE, "push", "app_opened", "Foo Bar", NOW + SECOND, NOW)]


def test_apps_only_count_where_they_say_something_and_names_are_escaped() -> None:
    phones = Phones()
    phones.push("screen_on", app="com.foo")
    phones.push("app_opened", app="evil\u202e\x1b[31m")
    assert [report.app for report in phones.reports] == [None, "evil\\u202e\\u001b[31m"]


@pytest.mark.parametrize("event", ["screen_on", "screen_off", "locked", "unlocked", "heartbeat", "charging"])
def test_all_events(event: str) -> None:
    phones = Phones()
    assert phones.push(event).status == 200
    assert phones.reports[0].event == event


class TestTime:
    @pytest.mark.parametrize("offset", [-30, -1, 0, 30])
    def test_a_clock_that_is_nearly_right_is_believed(self, offset: int) -> None:
        phones = Phones()
        phones.push("screen_off", time=1_790_000_000 + offset)
        assert phones.reports[0].observed_at == NOW + offset * SECOND

    @pytest.mark.parametrize("offset", [40, -7200, 86_400 * 365, -1_790_000_000])
    def test_one_that_is_wrong_is_not(self, offset: int) -> None:
        phones = Phones()
        phones.push("screen_off", time=1_790_000_000 + offset)
        assert phones.reports[0].observed_at == NOW
        assert phones.book.at(PHONE, NOW + 90 * SECOND).age(NOW + 90 * SECOND) == 90 * SECOND

    def test_an_older_event_does_not_override_a_newer_one(self) -> None:
        phones = Phones()
        phones.push("screen_off", time=1_790_000_000)
        phones.push("screen_on", time=1_789_999_990, now=NOW + SECOND)
        assert phones.book.at(PHONE, NOW + 120 * SECOND).state == "background"

    def test_seconds_and_milliseconds(self) -> None:
        phones = Phones()
        for time in (1_790_000_005, 1_790_000_005_000, "1790000005", "1790000005000"):
            phones.push("screen_on", time=time)
        assert {report.observed_at for report in phones.reports} == {NOW + 5 * SECOND}


class TestRepeats:
    def test_a_retry_changes_nothing_and_says_so(self) -> None:
        phones = Phones()
        for expected in (True, False, False):
            assert phones.push("screen_off", time=1_790_000_000, sequence=5).body == {"accepted": expected}
        assert len(phones.reports) == 1
        assert phones.source.counts["repeated"] == 2

    def test_the_same_of_another_phone_is_no_repeat(self) -> None:
        phones = Phones()
        for token in (PHONE_TOKEN, TABLET_TOKEN):
            assert phones.push("screen_off", token, time=1_790_000_000).body == {"accepted": True}

    def test_without_time_and_number_nothing_is_a_repeat(self) -> None:
        phones = Phones()
        answers = [phones.push(event) for event in ("screen_on", "screen_off", "screen_on")]
        assert [answer.body["accepted"] for answer in answers] == [True] * 3

    def test_what_others_have_overtaken_is_a_repeat_too(self) -> None:
        phones = Phones()
        phones.push("screen_off", sequence=9)
        assert phones.push("screen_on", sequence=8).body == {"accepted": False}
        assert phones.book.at(PHONE, NOW + 120 * SECOND).state == "background"

    def test_memory_is_bounded(self) -> None:
        phones = Phones()
        for at in range(3 * MAX_REMEMBERED):
            phones.push("heartbeat", time=1_790_000_000 + at, now=NOW + at * SECOND)
        assert len(phones.source._told[0]) == MAX_REMEMBERED  # type: ignore[attr-defined]


class TestWhose:
    def test_a_token_is_bound_to_its_client_from_wherever_it_comes(self) -> None:
        phones = Phones()
        phones.push("screen_on", sender="192.0.2.7")
        phones.push("screen_on", TABLET_TOKEN, sender="127.0.0.1")
        assert [report.client for report in phones.reports] == [PHONE, TABLET]

    @pytest.mark.parametrize("named", [PHONE, PHONE.upper(), "60-38-E0-C5-35-A0", "Redmi Note"])
    def test_a_body_may_name_the_client_of_its_token(self, named: str) -> None:
        assert Phones().push("screen_on", client=named).status == 200

    @pytest.mark.parametrize("named", [TABLET, "Tablet", "nobody", "192.0.2.9", "\ud800"])
    def test_but_no_other(self, named: str) -> None:
        phones = Phones()
        assert phones.push("screen_on", client=named).status == 403
        assert phones.source.counts["forbidden"] == 1

    @pytest.mark.parametrize("sender", ["192.0.2.7", "2001:db8::7"])
    def test_a_token_without_a_client_speaks_for_its_sender_alone(self, sender: str) -> None:
        phones = Phones()
        assert phones.push("screen_on", OPEN_TOKEN, sender=sender).status == 200
        assert phones.reports[0].client == GUEST
        assert phones.push("screen_on", OPEN_TOKEN, sender=sender, client=PHONE).status == 403

    @pytest.mark.parametrize("sender", ["192.0.2.200", "127.0.0.1", "127.9.9.9", "::1", "", "nonsense"])
    def test_a_sender_that_nobody_knows(self, sender: str) -> None:
        phones = Phones(whose=lambda address: GUEST if address in ("127.0.0.1", "127.9.9.9", "::1") else None)
        answer = phones.source.accept(Posted(b'{"event": "screen_on"}', JSON, f"Bearer {OPEN_TOKEN}", sender), NOW)
        assert answer.status == 422
        assert phones.source.counts["unknown_sender"] == 1


class TestAttacks:
    def test_no_token_or_a_wrong_one(self) -> None:
        phones = Phones()
        assert phones.push("screen_on", "").status == 401
        assert phones.push("screen_on", PHONE_TOKEN + "x").status == 401
        assert phones.source.counts["unauthorized"] == 2
        assert phones.book.clients() == []

    def test_a_thousand_a_second(self) -> None:
        phones = Phones()
        answers = [phones.push("screen_on", now=NOW + at * SECOND // 1000) for at in range(1000)]
        statuses = [answer.status for answer in answers]
        assert (statuses.count(200), statuses.count(429)) == (60, 940)
        assert answers[-1].retry_after == 1
        assert phones.push("screen_on", TABLET_TOKEN).status == 200

    def test_a_thousand_wrong_tokens_a_second(self) -> None:
        phones = Phones()
        statuses = [phones.push("screen_on", f"wrong-token-{at:08d}").status for at in range(1000)]
        assert set(statuses) == {401, 429}
        assert statuses.count(429) > 900
        assert phones.push("screen_on").status == 200
        assert phones.source.counts["limited"] == statuses.count(429)

    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (400, b"{}", JSON),
            (400, b'{"event": "screen_of"}', JSON),
            (400, b'{"event": ["screen_on"]}', JSON),
            (400, b'{"event": "screen_on", "time": "now"}', JSON),
            (400, b'{"event": "screen_on", "time": 1, "ts": 1}', JSON),
            (400, b'{"event": "screen_on", "sequence": -1}', JSON),
            (400, b'{"event": "screen_on", "sequence": 1.5}', JSON),
            (400, b'{"event": "screen_on", "interval": 0}', JSON),
            (400, b'{"event": "app_opened", "app": 5}', JSON),
            (400, b'{"event": "screen_on", "client": 5}', JSON),
            (400, b'{"event": "screen_on", "token": "x"}', JSON),
            (413, b'{"event": "screen_on"}' + b" " * MAX_BODY, JSON),
            (415, b"event=screen_on", "text/plain"),
        ],
    )
    def test_wrong_bodies(self, status: int, body: bytes, kind: str) -> None:
        assert Phones().post(body, kind=kind).status == status

    def test_errors_name_the_key_and_never_the_token(self) -> None:
        phones = Phones()
        assert str(phones.push("nap").body["error"]).startswith("event: expected one of app_opened, ")
        assert str(phones.push("screen_on", sequence="x").body["error"]).startswith("sequence: ")
        for shown in (repr(phones.source._settings), repr(phones.source._settings.phone)):  # type: ignore[attr-defined]
            assert PHONE_TOKEN not in shown

    @given(st.binary(max_size=300), st.sampled_from([JSON, FORM]))
    def test_any_bytes_get_an_answer(self, raw: bytes, kind: str) -> None:
        assert Phones().post(raw, kind=kind).status in (200, 400, 403)

    @given(
        st.dictionaries(
            st.sampled_from(["event", "app", "label", "time", "ts", "sequence", "interval", "client", "x"]),
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.integers()),
        )
    )
    def test_any_values_get_an_answer(self, body: dict[str, Any]) -> None:
        raw = json.dumps({"event": "screen_on", **body}).encode()
        assert Phones().post(raw).status in (200, 400, 403, 413)


class TestSettings:
    def refused(self, push: dict[str, Any]) -> str:
        with pytest.raises(ConfigError) as caught:
            Phones({"foreground": {"push": push}})
        assert "a-token-of" not in str(caught.value)
        return str(caught.value)

    def test_exactly_one_of_token_and_file(self) -> None:
        assert self.refused({"phone": [{}]}) == "foreground.push.phone[0]: needs token or token_file"
        assert "not both" in self.refused({"phone": [{"token": PHONE_TOKEN, "token_file": "/x"}]})

    def test_a_short_token(self) -> None:
        assert self.refused({"phone": [{"token": "short"}]}).startswith("foreground.push.phone[0].token: expected")

    def test_two_phones_with_one_token(self, tmp_path: Path) -> None:
        assert "share a token" in self.refused({"phone": [{"token": PHONE_TOKEN}, {"token": PHONE_TOKEN}]})
        file = tmp_path / "token"
        file.write_text(PHONE_TOKEN)
        said = self.refused({"phone": [{"token": PHONE_TOKEN}, {"token_file": str(file)}]})
        assert said == "foreground.push.phone[1]: has the same token as phone[0]; each needs its own"

    def test_tokens_from_files(self, tmp_path: Path) -> None:
        file = tmp_path / "token"
        file.write_text(PHONE_TOKEN + "\n")
        phones = Phones({"foreground": {"push": {"phone": [{"client": PHONE, "token_file": str(file)}]}}})
        assert phones.push("screen_on").status == 200

    def test_unknown_clients_and_odd_addresses(self) -> None:
        assert "foreground.push.phone[0].client" in self.refused({"phone": [{"client": "x", "token": PHONE_TOKEN}]})
        assert self.refused({"listen": "8471"}).startswith("foreground.push.listen: expected text like")

    def test_defaults(self) -> None:
        [chosen] = parse({"foreground": {"push": {}}}).foreground.sources
        assert chosen.plugin is Push
        assert (chosen.settings.listen, chosen.settings.phone) == ("", ())
        assert parse({"foreground": {"push": {"enabled": False}}}).foreground.sources == ()
