"""What a scenario file may say: every key, its unit and its default. README.md tells what comes of it."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal

from sensor.base.fields import Label, Mac, Network
from sensor.base.settings import build, nearest, read
from sensor.base.times import SECOND
from sensor.base.units import Duration, Size
from sensor.errors import ConfigError
from sensor.model.alert import Severity
from sensor.model.alert import State as AlertState
from sensor.model.foreground import EVENTS

Family = Literal["4", "6"]
FAMILIES: dict[str, tuple[Family, ...]] = {"4": ("4",), "6": ("6",), "both": ("4", "6")}

Kind = Literal[
    "upload", "beacon", "download", "handshake", "keepalive", "udp", "quic_upload", "quic_download", "ip", "dns", "join"
]  # fmt: skip

MAX_ADDRESSES = 100_000
"""Addresses of one block that are used."""


def _offset(text: str, start: int, last: int) -> int:
    clock = re.fullmatch(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9](?:\.[0-9]{1,3})?))?", text)
    if clock:
        wanted = (int(clock[1]) * 3600 + int(clock[2]) * 60) * SECOND + round(float(clock[3] or 0) * 1000) * (
            SECOND // 1000
        )
        day = 86_400 * SECOND
        return last + (wanted - last) % day
    return last + Duration(text[1:]) if text.startswith("+") else start + Duration(text)


class Moment(str):
    """`90s` after the start; `23:05` or `23:05:30` (UTC), the next time it is so late; `+8h` after the one before."""

    __slots__ = ()
    example = "1h30m"

    def __new__(cls, text: str) -> "Moment":
        _offset(text, 0, 0)
        return super().__new__(cls, text)

    def after(self, start: int, last: int | None = None) -> int:
        """ns since 1970; `last`: the moment before it, else the start."""
        return _offset(self, start, start if last is None else last)


class Shift(int):
    """A span of time in ns with a sign: `-10m`, `+2s`, `21d`."""

    __slots__ = ()
    example = "-10m"
    accepts = (str, int)

    def __new__(cls, value: str | int) -> "Shift":
        if isinstance(value, int):
            return super().__new__(cls, value)
        size = Duration(value.strip().lstrip("+-"))
        return super().__new__(cls, -size if value.strip().startswith("-") else size)


class Times(str):
    """How many: `1`, `2-4`, `1+`."""

    __slots__ = ()
    example = "1+"

    def __new__(cls, text: str) -> "Times":
        if not re.fullmatch(r"[0-9]+(\+|-[0-9]+)?", text):
            raise ValueError(f'expected how many, like "1", "2-4" or "1+", got "{text}"')
        return super().__new__(cls, text)

    @property
    def limits(self) -> tuple[int, int]:
        """(least, most)."""
        least, _, most = self.rstrip("+").partition("-")
        return int(least), int(most or (10**9 if self.endswith("+") else least))


class Happening(str):
    """`MOMENT EVENT [APP] [clock=SHIFT] [delay=SPAN] [lost]`."""

    __slots__ = ()
    example = "22:59 screen_off"

    def __new__(cls, text: str) -> "Happening":
        made = super().__new__(cls, text)
        words = text.split()
        if len(words) < 2:
            raise ValueError(f'expected "MOMENT EVENT", got "{text}"')
        Moment(words[0])
        if words[1] not in EVENTS:
            near = nearest(words[1], list(EVENTS))
            raise ValueError(f'"{words[1]}" is no event{f"; did you mean {near}?" if near else ""}')
        for key, _, value in (word.partition("=") for word in words[2:] if "=" in word):
            if key not in ("clock", "delay"):
                raise ValueError(f'unknown "{key}="; known here: clock, delay')
            Shift(value)
        return made

    @property
    def moment(self) -> Moment:
        return Moment(self.split()[0])

    @property
    def event(self) -> str:
        return self.split()[1]

    @property
    def app(self) -> str | None:
        return next((word for word in self.split()[2:] if "=" not in word and word != "lost"), None)

    @property
    def lost(self) -> bool:
        return "lost" in self.split()[2:]

    def shift(self, key: str, otherwise: int) -> int:
        """Its own `clock=` or `delay=`, else that of its table."""
        given = [word.partition("=")[2] for word in self.split()[2:] if word.startswith(f"{key}=")]
        return Shift(given[0]) if given else otherwise


BEGINNING, HALF_A_DAY = Moment("0s"), Moment("12h")
NO_SHIFT = Shift(0)
ONCE = Times("1")
PUSH = Label("push")
FAR = Size("1GB")
MONDAY = datetime.fromisoformat("2026-03-02T22:00:00+00:00")
"""Defaults."""


@dataclass(frozen=True, slots=True)
class Client:
    """One [[client]]; the n-th one (from 1) gets n into the addresses that it leaves out."""

    name: Label
    mac: Mac | None = None
    ip4: str = ""
    ip6: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """One [[place]]: far ends of one owner."""

    name: Label
    owner: str = ""
    country: str = ""
    asn: int = 0
    addresses: tuple[Network, ...] = ()
    """Addresses and blocks, IPv4 and IPv6; none: the place gets blocks of its own."""
    names: tuple[str, ...] = ()
    """What clients call it; the first one unless the traffic says otherwise."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Heartbeats of a source."""

    every: Duration
    from_: Moment = BEGINNING
    until: Moment = HALF_A_DAY

    def __post_init__(self) -> None:
        """ValueError for endless ones."""
        if not self.every:
            raise ValueError("every: expected more than 0s")


@dataclass(frozen=True, slots=True)
class Phone:
    """One [[foreground]]: what one source reports of one client."""

    client: Label
    events: tuple[Happening, ...] = ()
    source: Label = PUSH
    every: Duration = Duration(0)
    """The events come again after so long ..."""
    times: int = 1
    """... so often in all."""
    clock: Shift = NO_SHIFT
    """How far the phone's clock is ahead."""
    delay: Duration = Duration(0)
    """How long a report is under way."""
    heartbeat: Heartbeat | None = None
    numbered: bool = False
    """Reports carry sequence numbers."""
    interval: Duration = Duration(0)
    """What the source promises between two reports."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """One [[traffic]]."""

    client: Label
    kind: Kind
    place: str = ""
    at: Moment = BEGINNING
    for_: Duration = Duration(0)
    bytes: Size | None = None
    rate: Size | None = None
    reply: Size | None = None
    every: Duration = Duration(0)
    times: int = 0
    until: Moment | None = None
    jitter: Duration = Duration(0)
    address: str = ""
    spread: int = 1
    rotate: int = 1
    ip: Literal["4", "6", "mixed", ""] = ""
    own_address: str = ""
    port: int = 0
    protocol: int = 50
    segment: int = 0
    loss: float = 0.0
    decoy: Literal["", "segment", "syn"] = ""
    decoy_ahead: Size = FAR
    dns: bool = True
    tls: bool = True
    name: str = ""
    stamp: datetime | None = None
    attack: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One [[step]]: the sensor's clock moves."""

    at: Moment
    by: Shift


@dataclass(frozen=True, slots=True)
class Wanted:
    """One [[expect.alert]]."""

    detector: str
    client: Label
    count: Times = ONCE
    owner: str = ""
    severity: Severity | None = None
    state: AlertState | None = None
    after: Moment | None = None
    by: Moment | None = None
    sent: tuple[Size, ...] = ()
    summary: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Expectation:
    """[expect]."""

    silent: bool = False
    alert: tuple[Wanted, ...] = ()
    may: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    tolerated: int = 0

    def __post_init__(self) -> None:
        """ValueError where it says nothing or two things."""
        if self.silent == bool(self.alert):
            raise ValueError("write either silent = true, or at least one [[expect.alert]]")
        if any(len(each.sent) not in (0, 2) for each in self.alert):
            raise ValueError('alert: sent: expected the least and the most, like ["1MB", "2MB"]')


@dataclass(frozen=True, slots=True)
class Scenario:
    """The whole file."""

    title: str
    expect: Expectation
    story: str = ""
    start: datetime = MONDAY
    ip: Literal["4", "6", "both"] = "both"
    shuffle: Duration = Duration(0)
    client: tuple[Client, ...] = ()
    place: tuple[Place, ...] = ()
    foreground: tuple[Phone, ...] = ()
    traffic: tuple[Traffic, ...] = ()
    step: tuple[Step, ...] = ()
    config: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        """ValueError where a name is nowhere explained."""
        if self.start.tzinfo is None:
            raise ValueError("start: expected a time with a zone, like 2026-03-02T22:00:00Z")
        clients, places = [each.name for each in self.client], [each.name for each in self.place]
        for each in (*self.foreground, *self.traffic, *self.expect.alert):
            if each.client not in clients and not (each.client == "all" and isinstance(each, Traffic)):
                raise ValueError(f'no [[client]] is named "{each.client}"{_known(each.client, clients)}')
        for traffic in self.traffic:
            if min(traffic.spread, traffic.rotate) < 1 or traffic.segment < 0 or traffic.times < 0:
                raise ValueError("traffic: spread and rotate: expected 1 or more; segment and times: 0 or more")
            if traffic.jitter and traffic.jitter >= traffic.every:
                raise ValueError("traffic: jitter: expected less than every")
            if (traffic.times > 1 or traffic.until is not None) and not traffic.every:
                raise ValueError("traffic: every: missing; without it nothing comes again")
            if traffic.kind not in ("join", "dns") and traffic.place not in places:
                raise ValueError(f'no [[place]] is named "{traffic.place}"{_known(traffic.place, places)}')

    @property
    def families(self) -> tuple[Family, ...]:
        """It is run once with each of them."""
        return FAMILIES[self.ip]

    @property
    def began(self) -> int:
        """ns since 1970."""
        return round(self.start.timestamp() * 1000) * (SECOND // 1000)


def load(path: Path) -> Scenario:
    """ConfigError with the file and one line per problem."""
    try:
        return parse(read(path))
    except ConfigError as error:
        raise ConfigError(
            *(f"{path}: {problem}".replace(f"{path}: {path}", f"{path}") for problem in error.problems)
        ) from error


def parse(values: dict[str, Any]) -> Scenario:
    """From what TOML became. ConfigError."""
    return build(Scenario, values)


def address(place: Place, at: int, family: Family, number: int) -> str | None:
    """The `number`-th address (from 0, and again from the first one behind the last) of the `at`-th place."""
    blocks = [block for block in map(ip_network, networks(place, at)) if str(block.version) == family]
    # The first address of a block that is larger than two is its own name.
    skipped = [int(block.num_addresses > 2) for block in blocks]
    room = [min(block.num_addresses - skip, MAX_ADDRESSES) for block, skip in zip(blocks, skipped, strict=True)]
    number %= max(1, sum(room))
    for block, skip, most in zip(blocks, skipped, room, strict=True):
        if number < most:
            return str(block[number + skip])
        number -= most
    return None


def networks(place: Place, at: int) -> tuple[str, ...]:
    """Its blocks, or those that it gets."""
    return tuple(map(str, place.addresses)) or (f"5.{10 + at}.0.0/24", f"2a10:{at + 1:x}::/64")


def _known(word: str, known: list[Any]) -> str:
    near = nearest(word, [str(each) for each in known])
    return f'; did you mean "{near}"?' if near else f"; known: {', '.join(known) or 'none'}"
