"""Phones that say themselves what happens on them: `POST /api/v1/foreground` with a token of their own."""

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple, cast

from sensor.base import tokens
from sensor.base.addresses import parse_address
from sensor.base.fields import ClientRef, Listen
from sensor.base.text import printable
from sensor.base.times import SECOND
from sensor.errors import ConfigError
from sensor.foreground.base import Source, SourceFacts, believed
from sensor.foreground.history import client_id
from sensor.foreground.posts import OUTCOMES, Body, Gate, Refusal, number, read_body, text
from sensor.model.foreground import EVENTS, Event, Report
from sensor.model.posted import Answer, Posted

MAX_REMEMBERED = 64
"""Reports of one phone among which a repeated one is found."""

MAX_APP = 128
"""Characters of an app's name."""

MILLISECONDS = 100_000_000_000
"""From here on a time is in milliseconds: as seconds it would be in the year 5138."""

SHORTEST_INTERVAL, LONGEST_INTERVAL = 30, 86_400
"""Seconds between two heartbeats."""

KEYS = ("event", "app", "label", "time", "ts", "sequence", "interval", "client")

_MILLION = 1_000_000


@dataclass(frozen=True)
class Phone:
    """One [[foreground.push.phone]]: a token, and whose it is."""

    client: ClientRef | None = None
    """None: whoever sends, found by its address."""
    token: str = field(default="", repr=False)
    token_file: str = ""

    def __post_init__(self) -> None:
        """ValueError: not exactly one of token and token_file."""
        tokens.check(self.token, self.token_file)
        if not self.token and not self.token_file:
            raise ValueError("needs token or token_file")


@dataclass(frozen=True)
class Settings:
    """Keys of [foreground.push]."""

    enabled: bool = True
    listen: str = ""
    """A further host:port that takes pushes and serves nothing else."""
    phone: tuple[Phone, ...] = ()

    def __post_init__(self) -> None:
        """ValueError: two phones share a token, or `listen` is no address."""
        if self.listen:
            try:
                Listen(self.listen)
            except ValueError as error:
                raise ValueError(f"listen: {error}") from None
        given = [phone.token for phone in self.phone if phone.token]
        if len(set(given)) != len(given):
            raise ValueError("phone: two of them share a token; each needs its own")


class _Told(NamedTuple):
    """What makes a report the same as another one of the same phone."""

    client: str
    event: Event
    app: str | None
    time: int | None
    sequence: int | None


class Push(Source):
    """Takes reports of phones; what came of each post is in `counts`."""

    settings_type = Settings
    path = "/api/v1/foreground"

    def __init__(self, settings: Settings, facts: SourceFacts) -> None:
        super().__init__(settings, facts)
        self.counts = dict.fromkeys(("accepted", "repeated", *OUTCOMES.values()), 0)
        self._settings = settings
        self._gate = Gate(())
        self._told: list[deque[_Told]] = []

    @property
    def listen(self) -> str:
        return self._settings.listen

    def prepare(self) -> None:
        digests: list[bytes] = []
        for at, phone in enumerate(self._settings.phone):
            key = f"foreground.push.phone[{at}]"
            digest = tokens.digest(tokens.read(phone.token, phone.token_file, key))
            if digest in digests:
                raise ConfigError(f"{key}: has the same token as phone[{digests.index(digest)}]; each needs its own")
            digests.append(digest)
        self._gate = Gate(digests)
        self._told = [deque(maxlen=MAX_REMEMBERED) for _ in digests]

    def needs_sender(self, posted: Posted) -> bool:
        phone = self._gate.which(posted)
        return phone is not None and self._settings.phone[phone].client is None

    def accept(self, posted: Posted, now: int) -> Answer:
        try:
            phone = self._gate.enter(posted, now)
            body = read_body(posted, KEYS)
            report, told = self._report(phone, body, posted.sender, now)
        except Refusal as refusal:
            self.counts[OUTCOMES[refusal.answer.status]] += 1
            return refusal.answer
        # Without a time or a number two reports of the same may well be two.
        repeated = (told.time is not None or told.sequence is not None) and told in self._told[phone]
        if not repeated:
            self._told[phone].append(told)
            repeated = self.facts.report(report) is False
        self.counts["repeated" if repeated else "accepted"] += 1
        return Answer(200, {"accepted": not repeated})

    def _report(self, phone: int, body: Body, sender: str, now: int) -> tuple[Report, _Told]:
        event = body.get("event")
        if event not in EVENTS:
            raise Refusal(400, f"event: expected one of {', '.join(EVENTS)}")
        time, sequence, interval = (
            _time(body),
            _sequence(body),
            number(body, "interval", SHORTEST_INTERVAL, LONGEST_INTERVAL),
        )
        app = _app(body, cast(Event, event))
        client = self._client(phone, body, sender)
        report = Report(
            client=client,
            source=self.name,
            event=cast(Event, event),
            app=app,
            observed_at=believed(time, now),
            received_at=now,
            sequence=sequence,
            interval=None if interval is None else round(interval * SECOND),
        )
        return report, _Told(client, report.event, app, time, sequence)

    def _client(self, phone: int, body: Body, sender: str) -> str:
        """The id of the client that the report is about. Refusal: 403, 422."""
        bound = self._settings.phone[phone].client
        client = str(bound) if bound is not None else self._sender(sender)
        named = text(body, "client", MAX_APP)
        if named is not None and named != self.facts.called(client) and self._named(named) != client:
            raise Refusal(403, "client: is not the one that this token belongs to")
        return client

    def _named(self, named: str) -> str | None:
        try:
            return client_id(named, self.facts.ids)
        except ValueError:
            return None

    def _sender(self, sender: str) -> str:
        address = sender.partition("%")[0]
        client = None if _is_loopback(address) else self.facts.whose(address)
        if client is None:
            raise Refusal(
                422, "no client is known at the address that this came from; name it as client under the token"
            )
        return client


PLUGIN = Push


def _app(body: Body, event: Event) -> str | None:
    """The app's name as it may be shown; the package before the label, as labels are not unique."""
    app, label = text(body, "app", MAX_APP), text(body, "label", MAX_APP)
    if event not in ("app_opened", "app_closed"):
        return None
    name = app or label
    return None if name is None else printable(name, MAX_APP)


def _time(body: Body) -> int | None:
    """When it happened by the phone's clock, ns. Refusal: 400."""
    if "time" in body and "ts" in body:
        raise Refusal(400, "ts: the same as time; give one of them")
    key = "ts" if "ts" in body else "time"
    told = number(body, key, 0, 10**16)
    if told is None:
        return None
    return round(told * 1000 if told < MILLISECONDS else told) * _MILLION


def _sequence(body: Body) -> int | None:
    told = number(body, "sequence", 0, 2**63 - 1)
    if isinstance(told, float):
        raise Refusal(400, "sequence: expected a whole number")
    return told


def _is_loopback(address: str) -> bool:
    try:
        packed = parse_address(address)
    except ValueError:
        return True
    return packed[0] == 127 if len(packed) == 4 else packed == b"\0" * 15 + b"\1"
