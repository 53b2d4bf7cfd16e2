"""Against a Home Assistant on loopback that behaves, restarts, refuses, falls silent and talks nonsense."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sensor.base.settings import build
from sensor.base.times import SECOND
from sensor.config import parse
from sensor.errors import ConfigError
from sensor.foreground import reconnect
from sensor.foreground.base import SourceFacts
from sensor.foreground.book import ForegroundBook
from sensor.foreground.fusion import Rules
from sensor.foreground.sources import home_assistant
from sensor.foreground.sources.home_assistant import HomeAssistant, Settings, read_token, websocket_url
from sensor.model.foreground import Report
from tests.foreground.sources.fake_home_assistant import TOKEN, FakeHomeAssistant, serving
from tests.foreground.sources.waiting import until

MAC = "60:38:e0:c5:35:a0"
SCREEN, LOCK = "binary_sensor.pixel_interactive", "binary_sensor.pixel_device_locked"
APP, CHARGING = "sensor.pixel_last_used_app", "binary_sensor.pixel_is_charging"
PHONE = {"client": MAC, "interactive": SCREEN, "locked": LOCK, "app": APP, "charging": CHARGING}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that tests have time for."""
    monkeypatch.setattr(reconnect, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(reconnect, "LAST_PAUSE", 0.1)
    monkeypatch.setattr(home_assistant, "PING_SECONDS", 0.05)
    monkeypatch.setattr(home_assistant, "PONG_SECONDS", 2.0)
    monkeypatch.setattr(home_assistant, "SETTLE_SECONDS", 0.01)


@pytest.fixture
async def fake() -> AsyncIterator[FakeHomeAssistant]:
    async with serving() as fake:
        yield fake


class Lab:
    """A running source, what it reported, and what the book makes of it."""

    def __init__(self, url: str, phone: dict[str, Any], settings: dict[str, Any]) -> None:
        self.reports: list[Report] = []
        self.book = ForegroundBook(Rules())
        facts = SourceFacts(self._report, time.time_ns, known=self.book.at)
        table = {"url": url, "token": TOKEN, "phone": [phone], **settings}
        self.source = HomeAssistant(build(Settings, table, "foreground.home_assistant"), facts)

    def _report(self, report: Report) -> None:
        self.reports.append(report)
        self.book.report(report)

    @property
    def told(self) -> list[str]:
        """The events, without signs of life."""
        return [each.event for each in self.reports if each.event != "heartbeat"]

    @property
    def beats(self) -> int:
        return sum(each.event == "heartbeat" for each in self.reports)

    @property
    def state(self) -> str:
        return self.book.at(MAC, time.time_ns()).state

    @property
    def counts(self) -> dict[str, int]:
        return self.source.counts


@asynccontextmanager
async def running(url: str, phone: dict[str, Any] = PHONE, **settings: Any) -> AsyncIterator[Lab]:
    lab = Lab(url, phone, settings)
    lab.source.prepare()
    task = asyncio.ensure_future(lab.source.run())
    try:
        yield lab
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=5)
        assert task.cancelled()


def ago(seconds: float) -> float:
    return time.time() - seconds


async def test_states_as_they_are_and_as_they_change(fake: FakeHomeAssistant) -> None:
    since = ago(3600)
    fake.set(APP, "com.android.chrome", ago(4000), Label="Chrome")
    fake.set(LOCK, "on", since + 1)
    fake.set(SCREEN, "off", since)
    async with running(fake.url) as lab:
        await until(lambda: lab.told == ["screen_off", "locked"])
        assert lab.state == "background"
        first = lab.reports[0]
        assert (first.client, first.source, first.current) == (MAC, "home_assistant", True)
        assert abs(first.observed_at - since * SECOND) < 0.001 * SECOND
        await fake.change(SCREEN, "on", ago(0))
        await fake.change(APP, "com.xiaomi.gallery", ago(-0.001))
        await until(lambda: lab.told[2:] == ["unlocked", "app_opened"])
        known = lab.book.at(MAC, time.time_ns())
        assert (known.state, known.app) == ("foreground", "com.xiaomi.gallery")
    assert fake.received[1] == {
        "id": 1, "type": "subscribe_entities", "entity_ids": sorted([SCREEN, LOCK, APP, CHARGING])
    }  # fmt: skip


async def test_messages_may_come_as_an_array(fake: FakeHomeAssistant) -> None:
    fake.set(SCREEN, "off", ago(60))
    async with running(fake.url) as lab:
        await until(lambda: lab.told == ["screen_off"])
        event = {"c": {SCREEN: {"+": {"s": "on", "lc": ago(0)}}}}
        await fake.say([{"id": 1, "type": "event", "event": event}, {"id": 99, "type": "pong"}])
        await until(lambda: lab.state == "foreground")


async def test_entities_without_a_state_say_nothing(fake: FakeHomeAssistant) -> None:
    fake.set(SCREEN, "unavailable", ago(60))
    fake.set(CHARGING, "on", ago(60))
    async with running(fake.url) as lab:
        await until(lambda: sum(each.get("type") == "ping" for each in fake.received) > 2)
        assert lab.reports == []
        assert MAC not in lab.book.clients()


async def test_pongs_become_signs_of_life_until_the_entity_falls_silent(fake: FakeHomeAssistant) -> None:
    fake.set(SCREEN, "off", ago(60))
    async with running(fake.url) as lab:
        await until(lambda: lab.beats >= 3)
        await fake.change(SCREEN, "unavailable", ago(0))
        await until(lambda: not next(iter(lab.source._phones.values())).phone.speaks)
        beats, pings = lab.beats, len(fake.received)
        await until(lambda: len(fake.received) >= pings + 3)
        assert lab.beats == beats


async def test_what_was_known_expires_with_the_connection_and_is_back_with_it(
    fake: FakeHomeAssistant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(home_assistant, "PONG_SECONDS", 0.5)
    since = ago(1800)
    fake.set(SCREEN, "off", since)
    async with running(fake.url) as lab:
        await until(lambda: lab.beats >= 1)
        await fake.stop()
        await until(lambda: lab.state == "unknown")
        last = max(each.received_at for each in lab.reports)
        assert time.time_ns() - last >= 3 * 0.55 * SECOND
        # Restarted, it has restored the state with the time of its start.
        fake.set(SCREEN, "off", ago(0))
        await fake.start()
        await until(lambda: lab.state == "background")
        known = lab.book.at(MAC, time.time_ns())
        assert known.since is not None
        assert abs(known.since - since * SECOND) < 0.001 * SECOND
        await until(lambda: lab.beats >= 4)
        assert lab.state == "background"
    assert [line for line in caplog.messages if line.startswith("home_assistant")] == [
        "home_assistant: connected",
        "home_assistant: not connected: closed by Home Assistant",
        "home_assistant: connected again",
    ]


async def test_what_changed_while_the_connection_was_broken(fake: FakeHomeAssistant) -> None:
    fake.set(SCREEN, "off", ago(600))
    async with running(fake.url) as lab:
        await until(lambda: lab.state == "background")
        fake.drop()
        fake.set(SCREEN, "on", ago(0))
        await until(lambda: lab.state == "foreground")
        assert lab.counts["connected"] == 2


async def test_a_server_that_falls_silent_is_noticed(
    fake: FakeHomeAssistant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(home_assistant, "PONG_SECONDS", 0.1)
    fake.set(SCREEN, "off", ago(600))
    fake.answers_pings = False
    async with running(fake.url) as lab:
        await until(lambda: lab.counts["connected"] >= 2)
        assert lab.beats == 0
    assert "home_assistant: not connected: no answer to a ping" in caplog.messages


async def test_a_refused_token_is_said_once_tried_slowly_and_read_again(
    fake: FakeHomeAssistant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(home_assistant, "TOKEN_PAUSE", 0.2)
    fake.set(SCREEN, "off", ago(600))
    file = tmp_path / "token"
    file.write_text("an-old-token\n")
    async with running(fake.url, token="", token_file=str(file)) as lab:
        await until(lambda: lab.counts["token_refused"] >= 2)
        file.write_text(f"{TOKEN}\n")
        await until(lambda: lab.state == "background")
    complaints = [line for line in caplog.messages if "refused" in line]
    assert complaints == [f"home_assistant: not connected: {home_assistant._REFUSED}"]
    assert TOKEN not in caplog.text
    assert "an-old-token" not in caplog.text


async def test_a_subscription_that_is_refused(fake: FakeHomeAssistant, caplog: pytest.LogCaptureFixture) -> None:
    fake.accepts_subscription = False
    async with running(fake.url) as lab:
        await until(lambda: lab.counts["broken"] >= 3)
        assert lab.counts["connected"] == 0
    assert caplog.messages == ["home_assistant: not connected: the subscription was refused"]


@pytest.mark.parametrize(
    "nonsense",
    [
        "not JSON",
        "[" * 50_000,
        '{"id": 1, "type": "event", "event": {"a": 7, "c": [], "r": {}}}',
        '{"id": 1, "type": "event", "event": {"c": {"binary_sensor.pixel_interactive": {"+": {"s": {}}}}}}',
        '{"id": 1, "type": "event", "event": null}',
        '{"id": {}, "type": []}',
        '{"id": 7, "type": "result", "success": false}',
        "9" * 10_000,
    ],
    ids=range(8),
)
async def test_nonsense_changes_nothing(fake: FakeHomeAssistant, nonsense: str) -> None:
    fake.set(SCREEN, "off", ago(600))
    async with running(fake.url) as lab:
        await until(lambda: lab.state == "background")
        await fake.say(nonsense)
        await fake.change(SCREEN, "on", ago(0))
        await until(lambda: lab.state == "foreground")
        assert lab.counts["broken"] == 0


async def test_a_message_that_is_too_long_costs_the_connection(fake: FakeHomeAssistant) -> None:
    fake.set(SCREEN, "off", ago(600))
    async with running(fake.url) as lab:
        await until(lambda: lab.state == "background")
        await fake.say('"' + "x" * (home_assistant.MAX_MESSAGE + 1) + '"')
        await until(lambda: lab.counts["connected"] == 2)
        assert lab.state == "background"


async def test_a_frame_of_very_many_messages_is_cut_short_and_stops_nobody(fake: FakeHomeAssistant) -> None:
    fake.set(SCREEN, "off", ago(600))
    async with running(fake.url) as lab:
        await until(lambda: lab.state == "background")
        events = [{"c": {SCREEN: {"+": {"s": state, "lc": ago(0)}}}} for state in ("on", "off")]
        both = [{"id": 1, "type": "event", "event": event} for event in events]
        before, turns, told = lab.counts["messages"], 0, len(lab.told)
        await fake.say(both * 4_000)
        while lab.counts["messages"] == before:
            await asyncio.sleep(0)
        while len(lab.told) < told + home_assistant.MAX_MESSAGES:
            await asyncio.sleep(0)
            turns += 1
        assert turns >= home_assistant.MAX_MESSAGES // home_assistant.CHUNK - 1
        assert lab.counts["skipped"] == 7_000
        await fake.change(SCREEN, "on", ago(-1))
        await until(lambda: len(lab.told) == told + home_assistant.MAX_MESSAGES + 1)
        assert lab.counts["broken"] == 0


async def test_a_subscription_that_nobody_answers(
    fake: FakeHomeAssistant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(home_assistant, "CONNECT_SECONDS", 0.2)
    fake.answers_subscriptions = False
    async with running(fake.url) as lab:
        await until(lambda: lab.counts["broken"] >= 2)
        assert lab.counts["connected"] == 0
        fake.answers_subscriptions = True
        await until(lambda: lab.counts["connected"] == 1)
    assert "home_assistant: not connected: no answer to the subscription" in caplog.messages


async def test_redirects_are_not_followed(fake: FakeHomeAssistant, caplog: pytest.LogCaptureFixture) -> None:
    async with running(f"{fake.url}/moved") as lab:
        await until(lambda: lab.counts["broken"] >= 1)
    assert fake.received == []
    assert "redirects elsewhere" in caplog.text


async def test_what_is_no_home_assistant(fake: FakeHomeAssistant, caplog: pytest.LogCaptureFixture) -> None:
    async with running(f"{fake.url}/other") as lab:
        await until(lambda: lab.counts["broken"] >= 1)
    assert caplog.messages == ["home_assistant: not connected: the URL answered 404 instead of a WebSocket"]


NOTIFIED = {**PHONE, "notify": "notify.mobile_app_pixel"}


async def test_a_fresh_reading_on_request(fake: FakeHomeAssistant) -> None:
    fake.set(SCREEN, "off", ago(600))
    tasks: list[asyncio.Task[None]] = []
    fake.on_update = lambda: tasks.append(asyncio.ensure_future(fake.change(SCREEN, "on", ago(0))))  # type: ignore[assignment]
    async with running(fake.url, NOTIFIED) as lab:
        await until(lambda: lab.state == "background")
        async with asyncio.timeout(5):
            # Who asks meanwhile waits for the same answer; who asks again too soon does not wake the phone.
            await asyncio.gather(lab.source.refresh(MAC), lab.source.refresh(MAC))
            assert lab.state == "foreground"
            await lab.source.refresh(MAC)
    assert len(tasks) == 1
    [asked] = [each for each in fake.received if each.get("type") == "call_service"]
    assert asked["service"] == "mobile_app_pixel"
    assert asked["service_data"] == {
        "message": "command_update_sensors", "data": {"ttl": 0, "priority": "high"}
    }  # fmt: skip
    assert lab.counts["refreshes"] == 1


async def test_a_request_that_nobody_answers_ends(fake: FakeHomeAssistant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home_assistant, "REFRESH_SECONDS", 0.1)
    fake.set(SCREEN, "off", ago(600))
    async with running(fake.url, NOTIFIED) as lab, asyncio.timeout(5):
        await until(lambda: lab.state == "background")
        await lab.source.refresh(MAC)
        assert lab.counts["refreshes"] == 1


async def test_a_request_that_is_refused_ends_at_once(fake: FakeHomeAssistant) -> None:
    fake.services.clear()
    fake.set(SCREEN, "off", ago(600))
    async with running(fake.url, NOTIFIED) as lab, asyncio.timeout(5):
        await until(lambda: lab.state == "background")
        await lab.source.refresh(MAC)
        assert lab.counts["refreshes_refused"] == 1


async def test_no_request_without_notify_connection_or_phone(fake: FakeHomeAssistant) -> None:
    fake.set(SCREEN, "off", ago(600))
    async with running(fake.url) as lab, asyncio.timeout(5):
        await until(lambda: lab.state == "background")
        await lab.source.refresh(MAC)
        await lab.source.refresh("00:11:22:33:44:55")
    alone = Lab(fake.url, NOTIFIED, {})
    await alone.source.refresh(MAC)
    assert [each for each in fake.received if each.get("type") == "call_service"] == []


async def test_a_phone_that_came_back_is_believed_again_once_it_says_anything(fake: FakeHomeAssistant) -> None:
    fake.set(SCREEN, "off", ago(600))
    fake.set(CHARGING, "off", ago(600))
    async with running(fake.url) as lab:
        await until(lambda: lab.state == "background")
        now = time.time_ns()
        assert lab.book.joined(MAC, now, back_at=now, was_away=True)
        await fake.change(CHARGING, "unavailable", ago(0))
        heard = len(fake.received)
        await until(lambda: len(fake.received) >= heard + 2)  # pings go on after it
        assert lab.state == "unknown", "Home Assistant's own word: the phone may have been used where it hears nothing"
        await fake.change(CHARGING, "on", ago(0))
        await until(lambda: lab.state == "background")
        assert lab.told == ["screen_off", "charging", "screen_off"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://homeassistant.local:8123", "ws://homeassistant.local:8123/api/websocket"),
        ("https://ha.example.org/", "wss://ha.example.org/api/websocket"),
        ("http://[fd00::7]:8123", "ws://[fd00::7]:8123/api/websocket"),
        ("https://example.org/ha", "wss://example.org/ha/api/websocket"),
    ],
)
def test_where_the_api_is(url: str, expected: str) -> None:
    assert websocket_url(url) == expected


def refused(**changes: Any) -> str:
    table = {"url": "http://s3cret.local:8123", "token": "t0ken", "phone": [PHONE], **changes}
    with pytest.raises(ConfigError) as caught:
        build(Settings, {key: value for key, value in table.items() if value is not None}, "foreground.home_assistant")
    text = str(caught.value)
    assert "t0ken" not in text
    assert "s3cret" not in text
    return text


WRONG_URLS = [
    "", "s3cret.local:8123", "ftp://s3cret.local", "http://", "http://s3cret:0", "http://s3cret:99999",
    "http://me:s3cret@host", "http://:s3cret@host", "http://s3cret/?x=1", "http://s3cret/#x", "http://s3 cret",
    "http://[s3cret",
]  # fmt: skip


@pytest.mark.parametrize("url", WRONG_URLS)
def test_urls_that_are_none(url: str) -> None:
    assert refused(url=url).startswith("foreground.home_assistant.url: ")


def test_settings_that_are_wrong() -> None:
    assert "url: missing" in refused(url=None)
    assert "give one of token and token_file" in refused(token=None)
    assert "not both" in refused(token_file="/x")
    assert "token: " in refused(token="t0ken with blanks")
    assert "needs at least one [[foreground.home_assistant.phone]]" in refused(phone=[])
    assert "more than once" in refused(phone=[PHONE, PHONE])
    assert "phone[0].interactive: missing; for example" in refused(phone=[{"client": MAC}])
    assert "phone[0].interactive: expected the id of an entity" in refused(phone=[{**PHONE, "interactive": "Pixel"}])
    assert "phone[0].notify: expected the name" in refused(phone=[{**PHONE, "notify": "mobile app"}])


def test_clients_are_named_and_secrets_are_not_shown() -> None:
    table = {"url": "http://s3cret.local:8123", "token": "t0ken", "phone": [{**PHONE, "client": "Redmi Note"}]}
    config = parse({"client": [{"mac": MAC, "name": "Redmi Note"}], "foreground": {"home_assistant": table}})
    [chosen] = config.foreground.sources
    assert chosen.settings.phone[0].client == MAC
    assert "s3cret" not in repr(chosen.settings)
    assert "t0ken" not in repr(chosen.settings)


def test_token_files(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"\n{TOKEN}\n")
    assert read_token(file) == TOKEN
    for content in (b"", b"two words", b"\xff\xfe", b"a\nb"):
        file.write_bytes(content)
        with pytest.raises(ValueError, match="expected one word"):
            read_token(file)


def test_a_token_file_that_is_not_there(tmp_path: Path) -> None:
    lab = Lab("http://127.0.0.1:1", PHONE, {"token": "", "token_file": str(tmp_path / "none")})
    with pytest.raises(ConfigError, match=r"foreground.home_assistant: token_file: .*none: No such file"):
        lab.source.prepare()
