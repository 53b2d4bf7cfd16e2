"""Lab phones behind an adb server that behaves, refuses, hangs, floods and restarts."""

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from itertools import groupby

import pytest

from sensor.base.settings import build
from sensor.base.times import SECOND
from sensor.config import parse, problems
from sensor.errors import ConfigError
from sensor.foreground.base import SOURCES, SourceFacts
from sensor.foreground.book import ForegroundBook
from sensor.foreground.fusion import Rules
from sensor.foreground.sources import adb
from sensor.foreground.sources.adb import Adb, Settings
from sensor.model.foreground import Report
from tests.foreground.dumps import HOMES, VERSIONS, Phone, history, live
from tests.foreground.fake_adb import FakePhone, serving, until

START = 1_790_000_000 * SECOND
NOTE, PIXEL = "60:38:e0:c5:35:a0", "02:00:5e:10:00:01"
CHAT, PHOTOS = 10214, 10301


class Bench:
    """A source whose clock the test sets, and what it reported."""

    def __init__(self, port, phones, **keys):
        table = {"port": port, "phone": [{"client": client, "serial": serial} for client, serial in phones], **keys}
        self.now = START
        self.reports = []
        self.source = Adb(
            build(Settings, table), SourceFacts(self.reports.append, lambda: self.now, {NOTE: "Redmi Note"}.__getitem__)
        )
        self.source.prepare()

    @property
    def counts(self):
        return {kind: count for kind, count in self.source.counts.items() if count}

    def told(self):
        """(event, app) of what was reported since the last call."""
        told = [(report.event, report.app) for report in self.reports]
        self.reports.clear()
        return told

    async def look(self, seconds=0):
        """A poll, `seconds` later; what it reported."""
        self.now += seconds * SECOND
        await self.source.refresh(NOTE)
        return self.told()

    @asynccontextmanager
    async def running(self):
        task = asyncio.ensure_future(self.source.run())
        try:
            yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@asynccontextmanager
async def bench(phone, **keys):
    """One phone of NOTE, with its server."""
    async with serving(A1=phone) as server:
        yield Bench(server.port, [(NOTE, "A1")], **keys), server


def printing(**state):
    state.setdefault("version", 14)
    return Phone(**state).text()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_poll_is_one_report(version):
    phone = FakePhone(printing(version=version))
    async with bench(phone) as (it, _):
        assert await it.look() == [("app_opened", "org.example.chat")]
        phone.printed = printing(version=version, top=HOMES[version])
        assert await it.look(10) == [("app_closed", None)]
        phone.printed = printing(version=version, wakefulness="Asleep")
        assert await it.look(10) == [("screen_off", None)]
        phone.printed = printing(version=version, locked=True)
        assert await it.look(10) == [("locked", None)]
    assert it.counts == {"polls": 4, "reports": 4}


async def test_what_a_report_holds():
    async with bench(FakePhone(printing()), poll="20s") as (it, _):
        await it.source.refresh(NOTE)
    assert it.reports == [
        Report(NOTE, "adb", "app_opened", "org.example.chat", START, START, interval=20 * SECOND),
    ]


async def test_one_command_per_poll_by_what_the_phone_knows():
    phone = FakePhone(printing(), services=("exec:",))
    async with bench(phone) as (it, _):
        assert await it.look()
        assert await it.look(10)
    assert [command.partition(":")[0] for command in phone.commands] == ["shell,v2,raw", "exec", "exec"]


async def test_a_terminal_that_ends_lines_its_own_way():
    async with bench(FakePhone(printing(version=9), services=("shell:",))) as (it, _):
        assert await it.look() == [("app_opened", "org.example.chat")]


async def test_further_launchers():
    phone = FakePhone(printing(home=None))
    async with bench(phone, launchers=["org.example.chat"]) as (it, _):
        assert await it.look() == [("app_closed", None)]
        phone.printed = printing(home=None, top="com.miui.home/.launcher.Launcher")
        assert await it.look(10) == [("app_closed", None)]


async def test_a_charger_that_is_connected_is_told_once_and_behind_the_state():
    phone = FakePhone(printing(usb=False))
    async with bench(phone) as (it, _):
        await it.look()
        phone.printed = printing(wireless=True, wakefulness="Asleep")
        assert await it.look(10) == [("screen_off", None), ("charging", None)]
        assert await it.look(10) == [("screen_off", None)]
        phone.printed = printing(wakefulness="Asleep")
        assert await it.look(10) == [("screen_off", None)]


async def test_a_charger_is_no_news_at_first_or_after_an_absence():
    phone = FakePhone(printing(usb=True))
    async with bench(phone) as (it, _):
        assert await it.look() == [("app_opened", "org.example.chat")]
        phone.printed = printing()
        await it.look(10)
        phone.printed = printing(usb=True)
        assert await it.look(3600) == [("app_opened", "org.example.chat")]


async def test_a_charger_alone_does_not_lengthen_what_was_said():
    phone = FakePhone(printing())
    async with bench(phone) as (it, _):
        await it.look()
        phone.printed = printing(usb=True, top=None)
        assert await it.look(10) == []
    assert it.counts == {"polls": 2, "reports": 1, "unclear": 1}


@pytest.mark.parametrize("printed", ["", "sh: dumpsys: not found\n", "\0\xff" * 500, "mWakefulness=Awake\n"])
async def test_what_is_not_understood_is_counted_and_not_told(printed):
    async with bench(FakePhone(printed)) as (it, _):
        assert await it.look() == []
    assert it.counts == {"polls": 1, "unclear": 1}


async def test_a_phone_that_is_not_understood_is_one_line_in_the_log(caplog):
    phone = FakePhone("")
    caplog.set_level(logging.INFO)
    async with bench(phone) as (it, _):
        for _ in range(5):
            await it.look(10)
        assert [record.getMessage() for record in caplog.records if record.name == adb.__name__] == [
            "foreground.adb: Redmi Note (A1): its answers do not say whether somebody uses it"
        ]
        phone.printed = printing()
        await it.look(10)
    assert caplog.messages[-1] == "foreground.adb: Redmi Note (A1): answers again"


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        ("offline", "offline", "device offline"),
        ("unauthorized", "unauthorized", "device unauthorized."),
        ("still authorizing", "unauthorized", "device still authorizing"),
        ("still connecting", "offline", "device still connecting"),
        (
            "insufficient permissions for device: user in plugdev group",
            "unauthorized",
            "device insufficient permissions for device: user in plugdev group",
        ),
        ("sideload\x1b[31m", "refused", "device sideload\\u001b[31m"),
    ],
)
async def test_a_phone_that_cannot_be_asked(state, kind, words, caplog):
    phone = FakePhone(printing(), state=state)
    caplog.set_level(logging.INFO)
    async with bench(phone) as (it, _):
        for _ in range(3):
            assert await it.look(10) == []
        assert caplog.messages == [f"foreground.adb: Redmi Note (A1): {words}"]
        phone.state = "device"
        assert await it.look(10) == [("app_opened", "org.example.chat")]
        assert caplog.messages[1:] == ["foreground.adb: Redmi Note (A1): answers again"]
        phone.state = state
        await it.look(10)
    assert len(caplog.messages) == 3
    assert it.counts == {"polls": 5, "reports": 1, kind: 4}


async def test_a_serial_that_nobody_knows():
    async with serving() as server:
        it = Bench(server.port, [(NOTE, "A1")])
        assert await it.look() == []
    assert it.counts == {"polls": 1, "not_found": 1}


@pytest.mark.parametrize(
    ("habit", "kinds"),
    [
        ("endless", {"too_long"}),
        ("empty_packets", {"too_long"}),
        ("huge_packet", {"too_long"}),
        ("garbage", {"too_long", "broken_off"}),
        ("break_off", {"broken_off"}),
    ],
)
async def test_a_phone_that_misbehaves_reports_nothing(habit, kinds):
    phone = FakePhone(printing(), habit=habit)
    async with bench(phone) as (it, server):
        assert await it.look() == []
        assert set(it.counts) - {"polls"} <= kinds
        assert len(it.counts) == 2
        phone.habit = "answer"
        assert await it.look(10) == [("app_opened", "org.example.chat")]
        await until(lambda: server.open == 0)


async def test_a_phone_that_hangs_is_left_alone_after_a_while(monkeypatch):
    monkeypatch.setattr(adb, "ANSWER_SECONDS", 0.2)
    async with bench(FakePhone(printing(), habit="hang")) as (it, server):
        assert await it.look() == []
        await until(lambda: server.open == 0)
    assert it.counts == {"polls": 1, "no_answer": 1}


async def test_somebody_who_waits_for_a_fresh_reading_waits_not_long(monkeypatch):
    monkeypatch.setattr(adb, "REFRESH_SECONDS", 0.2)
    async with bench(FakePhone(printing(), habit="hang")) as (it, server):
        assert await it.look() == []
        await until(lambda: server.open == 0)
        await it.source.refresh("aa:bb:cc:dd:ee:ff")
    assert it.counts == {"polls": 1}


async def test_two_looks_at_a_time_are_one():
    async with bench(FakePhone(printing())) as (it, _):
        await asyncio.gather(*(it.source.refresh(NOTE) for _ in range(5)))
    assert it.counts == {"polls": 1, "reports": 1}


async def test_a_mistake_of_ours_costs_one_report_and_not_the_sensor(monkeypatch, caplog):
    async with bench(FakePhone(printing())) as (it, _):
        with monkeypatch.context() as patch:
            patch.setattr(adb.android, "read", lambda text: 1 / 0)
            assert await it.look() == []
        assert await it.look(10) == [("app_opened", "org.example.chat")]
    assert it.counts == {"polls": 2, "reports": 1, "failed": 1}
    assert "ZeroDivisionError" in caplog.text


async def test_polls_go_on_while_the_server_restarts(monkeypatch, caplog):
    monkeypatch.setattr(adb, "FIRST_RETRY_SECONDS", 0.05)
    caplog.set_level(logging.INFO)
    async with bench(FakePhone(printing()), poll="1s") as (it, server):
        async with it.running():
            await until(lambda: it.counts.get("reports", 0) >= 2)
            await server.stop()
            await until(lambda: it.counts.get("no_server", 0) >= 3)
            it.told()
            await server.start()
            await until(it.told)
        gone, back = [message for message in caplog.messages if "server" in message]
    assert gone.startswith(f"foreground.adb: no adb server at 127.0.0.1 port {server.port}: ")
    assert back == "foreground.adb: the adb server is back"


async def test_the_pause_grows_while_no_server_answers(monkeypatch):
    pauses = []

    async def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 9:
            raise asyncio.CancelledError

    async with serving() as server:
        port = server.port
    it = Bench(port, [(NOTE, "A1")])
    it.source._jitter = lambda: 1.0
    monkeypatch.setattr(adb.asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await it.source._watch(it.source._phones[0])
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


async def test_one_phone_does_not_wait_for_another():
    phones = {"A1": FakePhone(printing(), habit="hang"), "B2": FakePhone(printing(wakefulness="Dozing"))}
    async with serving(**phones) as server:
        it = Bench(server.port, [(NOTE, "A1"), (PIXEL, "B2")], poll="1s")
        async with it.running():
            await until(lambda: len(it.reports) >= 2)
    assert {(report.client, report.event) for report in it.reports} == {(PIXEL, "screen_off")}


async def test_the_whole_from_the_phone_to_what_is_known():
    """Used, put away, then out of reach: foreground, background after the grace time, unknown after three polls."""
    phone = FakePhone(printing())
    async with bench(phone) as (it, _):
        book = ForegroundBook(Rules())

        async def polls(count):
            for _ in range(count):
                it.now += 10 * SECOND
                await it.source.refresh(NOTE)
                assert all(book.report(report) for report in it.reports)
                it.reports.clear()
            return book.at(NOTE, it.now)

        known = await polls(3)
        assert (known.state, known.source, known.app) == ("foreground", "adb", "org.example.chat")
        assert (known.age(it.now), known.since) == (0, START + 10 * SECOND)

        phone.printed = printing(wakefulness="Dozing", locked=True)
        put_away = it.now + 10 * SECOND
        assert (await polls(1)).state == "foreground"
        known = await polls(6)
        assert it.now == put_away + 60 * SECOND
        assert (known.state, known.since, known.app) == ("background", put_away, None)

        phone.state = "offline"
        last = it.now
        known = await polls(2)
        assert (known.state, known.age(it.now)) == ("background", 20 * SECOND)
        assert book.at(NOTE, last + 30 * SECOND - 1).state == "background"
        assert book.at(NOTE, last + 30 * SECOND).state == "unknown"

        # Nobody knows since when it has been put away: only after another grace time it counts so.
        phone.state = "device"
        assert (await polls(6)).state == "unknown"
        assert (await polls(1)).state == "background"

        phone.printed = printing(top="org.example.mail/.Main", usb=True)
        known = await polls(1)
        assert (known.state, known.app) == ("foreground", "org.example.mail")
        assert book.moments(NOTE)["charging"] == it.now
    states = [state for state, _ in groupby(change.foreground.state for change in book.between(NOTE, 0, it.now))]
    assert states == ["foreground", "background", "unknown", "background", "foreground"]
    assert book.lost["adb"] == 0


async def test_the_phones_own_counters_score_the_sensor():
    phone = FakePhone()

    def state(sent, in_front=(), **screen):
        text = printing(**screen)
        phone.printed = lambda command: text + (live(sent, in_front) if "netstats" in command else "")

    async with bench(phone, truth=True) as (it, _):
        state({CHAT: 0, PHOTOS: 0}, (CHAT,))
        await it.look()
        state({CHAT: 90_000, PHOTOS: 0}, (CHAT,))
        assert await it.look(10) == [("app_opened", "org.example.chat")]
        state({CHAT: 90_000, PHOTOS: 0}, (), wakefulness="Asleep")
        await it.look(10)
        state({CHAT: 90_000, PHOTOS: 4_000_000}, (), wakefulness="Asleep")
        await it.look(10)
        spans = it.source.spans
    assert [(span.front, span.behind, span.background) for span in spans[NOTE]] == [
        (90_000, 0, False),
        (0, 4_000_000, True),
    ]
    assert it.source.counted(NOTE, START + 2 * SECOND, START + 8 * SECOND) is False
    assert it.source.counted(NOTE, START + 21 * SECOND, START + 28 * SECOND) is True
    assert it.source.counted(PIXEL, START, START + 28 * SECOND) is None
    assert sum(it.source.verdicts.values()) == 2


async def test_an_older_phone_is_asked_for_its_history():
    text = printing(version=9)
    counted = {"sent": (500,)}

    def printed(command):
        return text + (history({(CHAT, "DEFAULT"): counted["sent"]}, 9) if "netstats detail" in command else "")

    async with bench(FakePhone(printed), truth=True) as (it, _):
        for _ in range(3):
            assert await it.look(10) == [("app_opened", "org.example.chat")]
        counted["sent"] = (500, 70)
        await it.look(10)
    [span] = it.source.spans[NOTE]
    assert (span.start, span.end, span.behind) == (START + 20 * SECOND, START + 40 * SECOND, 70)
    assert it.counts == {"polls": 4, "reports": 4, "no_counters": 1}


async def test_without_truth_no_counters_are_asked_for():
    phone = FakePhone(printing(netstats=live({CHAT: 1})))
    async with bench(phone) as (it, _):
        await it.look()
        await it.look(10)
    assert not any("netstats" in command for command in phone.commands)
    assert it.source.spans == {NOTE: type(it.source.spans[NOTE])()}


def test_the_settings():
    settings = build(Settings, {})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.poll.seconds, settings.enabled) == ("127.0.0.1", 5037, 10.0, True)
    assert SOURCES.find("adb") is Adb
    assert Adb.name == "adb"


@pytest.mark.parametrize(
    ("table", "error"),
    [
        ({"poll": "500ms"}, "poll: expected a duration from 1s to 10m, got 0.5s"),
        ({"poll": "11m"}, "poll: expected a duration from 1s to 10m, got 660s"),
        ({"port": 0}, "port: expected a number from 1 to 65535, got 0"),
        ({"host": ""}, 'host: expected an address or a name like "127.0.0.1"'),
        ({"phone": [{"serial": "A1"}]}, 'phone[0].client: missing; for example client = "Redmi Note"'),
        ({"phone": [{"client": NOTE}]}, "phone[0].serial: missing"),
        (
            {"phone": [{"client": NOTE, "serial": "A\n1"}]},
            "phone[0].serial: expected what `adb devices` shows in its first column",
        ),
        (
            {"phone": [{"client": NOTE, "serial": "A1"}, {"client": PIXEL, "serial": "A1"}]},
            "phone: a serial stands twice",
        ),
        ({"phone": [{"client": NOTE, "serial": str(at)} for at in range(33)]}, "phone: expected at most 32 phones"),
        ({"launchers": ["a.b"] * 201}, "launchers: expected at most 200 packages"),
    ],
)
def test_settings_that_cannot_be(table, error):
    with pytest.raises(ConfigError) as raised:
        build(Settings, table)
    assert error in raised.value.problems


def test_clients_by_name_and_one_phone_each():
    phones = [{"client": "Redmi Note", "serial": "A1"}, {"client": NOTE, "serial": "B2"}]
    known = {"client": [{"mac": NOTE, "name": "Redmi Note"}]}
    config = parse({**known, "foreground": {"adb": {"phone": phones}}})
    [chosen] = config.foreground.sources
    assert [phone.client for phone in chosen.settings.phone] == [NOTE, NOTE]
    assert problems(config) == [f"foreground.adb.phone: {NOTE} has more than one phone"]
    config = parse({**known, "foreground": {"adb": {}}})
    assert problems(config)[0].startswith("foreground.adb.phone: missing")
    assert problems(parse({**known, "foreground": {"adb": {"phone": phones[:1]}}})) == []
    with pytest.raises(ConfigError, match=r'foreground\.adb\.phone\[0\]\.client: "Nobody"'):
        parse({"foreground": {"adb": {"phone": [{"client": "Nobody", "serial": "A1"}]}}})
