"""Lab phones, looked at through an adb server: screen, lock and the app in front; what apps have sent, as a truth."""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from sensor.base.fields import ClientRef
from sensor.base.text import printable
from sensor.base.times import SECOND
from sensor.base.units import Duration
from sensor.errors import ConfigError
from sensor.foreground import android, netstats
from sensor.foreground.adb_server import (
    SERVICES,
    AdbServer,
    Answer,
    BrokenOffError,
    RefusedError,
    ServerGoneError,
    TooLongError,
)
from sensor.foreground.base import Source, SourceFacts
from sensor.foreground.standing import MISSED
from sensor.foreground.truth import Sample, Span, Spans, label
from sensor.model.foreground import Event, Report

MAX_PHONES = 32
"""Each is asked on a connection of its own."""
MAX_LAUNCHERS = 200
ANSWER_SECONDS = 10.0
"""For one look at a phone, from connecting to the end of its answer."""
REFRESH_SECONDS = 5.0
"""For one that somebody waits for."""
MAX_STATE, MAX_TRUTH = 262_144, 1_048_576
"""Bytes of an answer without and with the counters of bytes."""
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 1.0, 60.0
"""The pause doubles from the first to the last while no server answers."""
MAX_SPANS = 8_640
"""Spans of one phone's byte counters: a day of polls every 10 s in each of which something was sent; the oldest go."""

KINDS = (
    "polls", "reports", "unclear", "offline", "unauthorized", "not_found", "refused", "no_server", "no_answer",
    "too_long", "broken_off", "failed", "no_counters",
)  # fmt: skip
"""`unclear`: an answer that does not say whether somebody is there; `failed`: a mistake in here."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Phone:
    """One [[foreground.adb.phone]]."""

    client: ClientRef
    serial: str
    """As `adb devices` shows it."""

    def __post_init__(self) -> None:
        """ValueError for what no serial looks like."""
        if not 1 <= len(self.serial) <= 128 or not self.serial.isascii() or not self.serial.isprintable():
            raise ValueError("serial: expected what `adb devices` shows in its first column")


@dataclass(frozen=True, slots=True)
class Settings:
    """Keys of [foreground.adb]."""

    enabled: bool = True
    host: str = "127.0.0.1"
    """Where the adb server listens; it does not ask who its callers are, so keep it on this machine."""
    port: int = 5037
    poll: Duration = Duration("10s")
    """How often each phone is looked at."""
    launchers: tuple[str, ...] = ()
    """Further packages in front of which no app is open: besides android.LAUNCHERS and the phone's own launcher."""
    truth: bool = False
    """Reads the phones' own byte counters, too."""
    phone: tuple[Phone, ...] = ()

    def __post_init__(self) -> None:
        """ValueError outside of what can be."""
        if not 1 <= len(self.host) <= 253 or not self.host.isprintable() or " " in self.host:
            raise ValueError('host: expected an address or a name like "127.0.0.1"')
        if not 1 <= self.port <= 65_535:
            raise ValueError(f"port: expected a number from 1 to 65535, got {self.port}")
        if not Duration("1s") <= self.poll <= Duration("10m"):
            raise ValueError(f"poll: expected a duration from 1s to 10m, got {self.poll.seconds:g}s")
        if len(self.launchers) > MAX_LAUNCHERS:
            raise ValueError(f"launchers: expected at most {MAX_LAUNCHERS} packages")
        if len(self.phone) > MAX_PHONES:
            raise ValueError(f"phone: expected at most {MAX_PHONES} phones")
        if len({phone.serial for phone in self.phone}) < len(self.phone):
            raise ValueError("phone: a serial stands twice")


class TroubleError(Exception):
    """Why a phone could not be looked at."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        """One of KINDS."""


@dataclass(slots=True)
class Watched:
    """What is remembered of one phone."""

    client: str
    serial: str
    service: str = SERVICES[0]
    """The best way to run commands that it knows."""
    counters: str = netstats.LIVE
    """The command that prints its counters."""
    unclear: int = 0
    """Looks in a row that said nothing."""
    failing: bool = False
    powered: tuple[int, bool] | None = None
    """When it last said whether it is charged, and what (ns)."""
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    measured: Spans = field(default_factory=Spans)


class Adb(Source):
    """Every look that says something becomes one report, which holds for three polls."""

    settings_type = Settings

    def __init__(self, settings: Settings, facts: SourceFacts, *, jitter: Callable[[], float] = random.random) -> None:
        """`jitter`: 0 .. 1, spreads retries."""
        super().__init__(settings, facts)
        self.counts = dict.fromkeys(KINDS, 0)
        self.spans: dict[str, deque[Span]] = {str(phone.client): deque(maxlen=MAX_SPANS) for phone in settings.phone}
        """Client -> when its apps sent in front and behind, the latest last; empty without `truth`."""
        self._settings = settings
        self._launchers = android.LAUNCHERS.union(settings.launchers)
        self._jitter = jitter
        self._server = AdbServer(settings.host, settings.port)
        self._server_gone = False
        self._phones = [Watched(str(phone.client), phone.serial) for phone in settings.phone]

    def prepare(self) -> None:
        clients = [phone.client for phone in self._phones]
        if not clients:
            raise ConfigError("foreground.adb.phone: missing; name at least one phone with its client and its serial")
        twice = {client for client in clients if clients.count(client) > 1}
        if twice:
            raise ConfigError(f"foreground.adb.phone: {', '.join(sorted(twice))} has more than one phone")

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for phone in self._phones:
                group.create_task(self._watch(phone), name=f"adb {phone.serial}")

    async def refresh(self, client: str) -> None:
        for phone in self._phones:
            if phone.client == client:
                with suppress(TimeoutError):
                    async with asyncio.timeout(REFRESH_SECONDS):
                        await self._look(phone)

    async def _watch(self, phone: Watched) -> None:
        """A look per poll; while no server answers, less and less often."""
        clock = asyncio.get_running_loop().time
        failures = 0
        while True:
            begun = clock()
            if await self._look(phone):
                failures = 0
                pause = self._settings.poll.seconds - (clock() - begun)
            else:
                longest = max(LAST_RETRY_SECONDS, self._settings.poll.seconds)
                pause = min(FIRST_RETRY_SECONDS * 2**failures, longest) * (0.5 + self._jitter() / 2)
                failures = min(failures + 1, 16)
            await asyncio.sleep(max(0.0, pause))

    async def _look(self, phone: Watched) -> bool:
        """Looks once and tells what came of it; False where no server answers. Two at a time become one."""
        if phone.looking.locked():
            async with phone.looking:
                return True
        async with phone.looking:
            self.counts["polls"] += 1
            begun = asyncio.get_running_loop().time()
            try:
                answer = await self._ask(phone)
                self._server_is(gone=None)
                phone.service = answer.service
                self._tell(phone, answer.text, asyncio.get_running_loop().time() - begun)
            except TroubleError as trouble:
                return self._in_trouble(phone, trouble)
            except Exception as error:  # noqa: BLE001  # what one phone prints may cost its own reports, never the sensor
                return self._in_trouble(phone, TroubleError("failed", type(error).__name__))
            return True

    def _in_trouble(self, phone: Watched, trouble: TroubleError) -> bool:
        """Whether a server answered."""
        self.counts[trouble.kind] += 1
        phone.service = SERVICES[0]
        gone = trouble.kind == "no_server"
        self._server_is(gone=str(trouble) if gone else None)
        if not gone:
            self._failed(phone, str(trouble))
        return not gone

    async def _ask(self, phone: Watched) -> Answer:
        truth = self._settings.truth
        command = f"{android.COMMAND}; {phone.counters}" if truth else android.COMMAND
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._server.shell(phone.serial, command, MAX_TRUTH if truth else MAX_STATE, phone.service)
        except TimeoutError:
            raise TroubleError("no_answer", f"no answer within {ANSWER_SECONDS:g} s") from None
        except TooLongError:
            raise TroubleError("too_long", "its answer is too long") from None
        except ServerGoneError as error:
            raise TroubleError("no_server", str(error)) from None
        except BrokenOffError as error:
            raise TroubleError("broken_off", str(error)) from None
        except RefusedError as error:
            raise TroubleError(_kind(str(error)), str(error)) from None

    def _tell(self, phone: Watched, text: str, took: float) -> None:
        """`took`: seconds; a phone that needs longer than a poll reports as often as it can."""
        every = max(int(self._settings.poll), round(took * SECOND))
        now = self.facts.clock()
        reading = android.read(text[:MAX_STATE])
        told = android.told(reading, self._launchers)
        if told is None:
            self._unclear(phone)
        else:
            self._answered(phone)
            self._report(phone, told[0], told[1], now, every)
            # Behind the report: a sign of life alone would lengthen what was said before.
            if self._plugged_in(phone, reading.powered, now):
                self._report(phone, "charging", None, now, every)
        if self._settings.truth:
            self._sample(phone, text, now)

    def _report(self, phone: Watched, event: Event, app: str | None, now: int, every: int) -> None:
        self.counts["reports"] += 1
        self.facts.report(Report(phone.client, self.name, event, app, now, now, interval=every))

    def _plugged_in(self, phone: Watched, powered: bool | None, now: int) -> bool:
        """Whether a charger was connected since the last look; not asked across a time without looks."""
        if powered is None:
            return False
        before, phone.powered = phone.powered, (now, powered)
        fresh = before is not None and now - before[0] <= MISSED * self._settings.poll
        return fresh and powered and before is not None and not before[1]

    def counted(self, client: str, start: int, end: int) -> bool | None:
        return label(start, end, self.spans.get(client, ()))

    def _sample(self, phone: Watched, text: str, now: int) -> None:
        counted = netstats.counters(text)
        if counted is None:
            self.counts["no_counters"] += 1
            phone.counters = netstats.LIVE if netstats.has_live(text) else netstats.DETAIL
        elif (span := phone.measured.add(Sample(now, counted))) is not None:
            self.spans[phone.client].append(span)
            # What the sensor believed then, by all its sources, against what the phone counted.
            said = self.facts.known(phone.client, span.end).state
            self.verdicts[said, "background" if span.background else "foreground"] += 1

    def _unclear(self, phone: Watched) -> None:
        """A phone between two apps says nothing for a moment; one that goes on so is not understood."""
        self.counts["unclear"] += 1
        phone.unclear += 1
        if phone.unclear >= MISSED:
            self._failed(phone, "its answers do not say whether somebody uses it")

    def _answered(self, phone: Watched) -> None:
        phone.unclear = 0
        if phone.failing:
            phone.failing = False
            log.info("foreground.adb: %s (%s): answers again", self.facts.called(phone.client), printable(phone.serial))

    def _failed(self, phone: Watched, why: str) -> None:
        level = logging.DEBUG if phone.failing else logging.WARNING
        phone.failing = True
        log.log(level, "foreground.adb: %s (%s): %s", self.facts.called(phone.client), printable(phone.serial), why)

    def _server_is(self, *, gone: str | None) -> None:
        if gone is None and self._server_gone:
            log.info("foreground.adb: the adb server is back")
        elif gone is not None:
            level = logging.DEBUG if self._server_gone else logging.WARNING
            log.log(
                level, "foreground.adb: no adb server at %s port %d: %s", self._settings.host, self._settings.port, gone
            )
        self._server_gone = gone is not None


PLUGIN = Adb


def _kind(refusal: str) -> str:
    """One of KINDS, by the words of adb's transport.cpp."""
    for word, kind in _WORDS.items():
        if word in refusal:
            return kind
    return "refused"


_WORDS = {
    "unauthorized": "unauthorized",
    "authorizing": "unauthorized",
    "permissions": "unauthorized",
    "offline": "offline",
    "connecting": "offline",
    "not found": "not_found",
}
