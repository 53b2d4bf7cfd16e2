"""The configuration file as one tree of frozen dataclasses; every key has a default, so an empty file runs."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from sensor.base import tokens
from sensor.base.fields import Host, Interface, Label, Listen, LocalNetwork, Mac, PublicUrl, https_url
from sensor.base.references import with_ids
from sensor.base.settings import build, collect, read
from sensor.base.text import printable
from sensor.base.units import Count, Duration, Size
from sensor.capture import privileges
from sensor.deliver import secret
from sensor.deliver.routing import NotifySettings
from sensor.deliver.sink import SINKS, Sink
from sensor.detect.allowance import Allowance
from sensor.detect.base import DETECTORS, Detector
from sensor.detect.idle import IdleDetector
from sensor.detect.watch import Watch
from sensor.enrich.geo import GeoDatabase
from sensor.errors import ConfigError, SensorError
from sensor.foreground.base import SourceFacts
from sensor.foreground.settings import ForegroundSettings
from sensor.model.alert import Severity

LAWFUL = Path(__file__).with_name("detect") / "lawful.toml"
"""The list that is shipped."""

DEFAULT_PATH = Path("/etc/idlewire/idlewire.toml")

CREDENTIALS = "/run/credentials/"
"""Where systemd puts secrets for the service, while it runs: nobody else can say whether they are there."""

STANDARD_DETECTORS = (
    "watchlist", "client_table", "background_upload", "idle_drip", "unused_device", "upload_burst",
)  # fmt: skip
"""On without being named; any other is on once its table is there."""

SHORTEST_QUIET = Duration("1s")
"""Of a detector's `resolve_after`: traffic is looked at once a second, so that less would end every alert at once."""


class ClientName(Label):
    """A name for a client."""

    __slots__ = ()
    example = "Redmi Note"


class SinkName(Label):
    """A name for a sink."""

    __slots__ = ()
    example = "lab"


class SinkType(str):
    """The name of a plug-in."""

    __slots__ = ()
    example = "webhook"


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """[capture]."""

    ring: Size = Size("8MiB")
    """Memory that the kernel fills with frames; what does not fit is dropped and counted."""
    poll: Duration = Duration("100ms")
    """How often the ring is emptied."""

    def __post_init__(self) -> None:
        """ValueError outside what the ring can be."""
        if not 1 << 18 <= self.ring <= 1 << 30:
            raise ValueError(f"ring: expected a size from 256KiB to 1GiB, got {self.ring:d} bytes")
        if not Duration("1ms") <= self.poll <= Duration("1s"):
            raise ValueError(f"poll: expected a duration from 1ms to 1s, got {self.poll.seconds:g}s")


@dataclass(frozen=True, slots=True)
class WebSettings:
    """[web]."""

    listen: Listen = Listen("127.0.0.1:8470")
    """host:port, or [address]:port."""
    hosts: tuple[Host, ...] = ()
    """Further names under which browsers may ask."""
    token: str = field(default="", repr=False)
    """Whoever sends it may change something, such as sending messages again; neither of the two: nobody may."""
    token_file: str = ""
    """A file that holds it."""
    public_url: PublicUrl = PublicUrl("")
    """Where people reach the page; then messages have links to it: mute, allow, acknowledge."""
    link_age: Duration = Duration("7d")
    """How long such a link acts."""

    def __post_init__(self) -> None:
        """ValueError: both, or no token; links that last too short or too long."""
        tokens.check(self.token, self.token_file)
        if not Duration("1m") <= self.link_age <= Duration("30d"):
            raise ValueError(f"link_age: expected a duration from 1m to 30d, got {self.link_age.seconds:g}s")

    @property
    def names(self) -> tuple[str, ...]:
        """All further names under which browsers may ask."""
        return (*self.hosts, *([self.public_url.host] if self.public_url else ()))


@dataclass(frozen=True, slots=True)
class GeoSettings:
    """[geo]."""

    databases: tuple[Path, ...] = ()
    """mmdb files, the first one first; none: the one that is built in, or a newer one that was fetched."""
    update_url: str = field(default="", repr=False)
    """What `idlewire geo update` fetches; a secret, because it may hold a token."""
    update_url_file: str = ""
    """A file that holds it."""

    def __post_init__(self) -> None:
        """ValueError: both, or no https."""
        secret.one_of("update_url", self.update_url, self.update_url_file, needed=False)
        secret.checked("update_url", self.update_url, https_url)

    @property
    def update(self) -> secret.Secret:
        """The URL, to be read."""
        return secret.Secret("update_url", self.update_url, self.update_url_file, https_url)


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """[account]: how much is kept; beyond it the coldest go to "other"."""

    max_clients: Count = Count(1_000)
    max_destinations: Count = Count(20_000)
    max_destinations_per_client: Count = Count(4_000)


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """One [[client]]: a name for a MAC."""

    mac: Mac
    name: ClientName


@dataclass(frozen=True, slots=True)
class SinkSettings:
    """One [[sink]]: the keys that all types have, and those of its own type."""

    name: Label
    type: str
    min_severity: Severity
    settings: Any = field(repr=False)
    """Of the plug-in's `settings_type`."""
    plugin: Callable[[str, Any, str], Sink] = field(repr=False)
    """The class to make one of, as plugin(name, settings, version)."""

    @classmethod
    def from_settings(cls, values: Mapping[str, object], path: str) -> "SinkSettings":
        """The keys of `_SinkKeys` are common; the others belong to the type. ConfigError as `settings.build`."""
        problems: list[str] = []
        common = {key: value for key, value in values.items() if key in _SINK_KEYS}
        own = {key: value for key, value in values.items() if key not in _SINK_KEYS}
        keys = collect(problems, lambda: build(_SinkKeys, common, path))
        if not isinstance(common.get("type"), str):
            raise ConfigError(*problems)
        try:
            plugin = SINKS.find(str(common["type"]))
        except ConfigError as error:
            raise ConfigError(*problems, f"{path}.type: {error}") from error
        settings = collect(problems, lambda: build(plugin.settings_type, own, path))
        if keys is None or settings is None:
            raise ConfigError(*problems)
        return cls(keys.name, keys.type, keys.min_severity, settings, plugin)


@dataclass(frozen=True, slots=True)
class _SinkKeys:
    name: SinkName
    type: SinkType
    min_severity: Severity = "info"


_SINK_KEYS = ("name", "type", "min_severity")


@dataclass(frozen=True, slots=True)
class ChosenDetector:
    """A detector that is on, with its settings; made as plugin(settings, facts)."""

    name: str
    plugin: type[Detector] = field(repr=False)
    settings: Any


@dataclass(frozen=True, slots=True)
class DetectSettings:
    """[detect]: one table per detector."""

    detectors: tuple[ChosenDetector, ...] = ()
    """Those that are on."""

    @classmethod
    def from_settings(cls, values: Mapping[str, object], path: str) -> "DetectSettings":
        """ConfigError as `settings.build`."""
        problems: list[str] = []
        chosen = []
        for name in [*STANDARD_DETECTORS, *(name for name in values if name not in STANDARD_DETECTORS)]:
            table = values.get(name, {})
            if not isinstance(table, dict):
                problems.append(f"{path}.{name}: expected a table, [{path}.{name}]")
                continue
            try:
                plugin = DETECTORS.find(name)
                settings = build(plugin.settings_type, table, f"{path}.{name}")
            except ConfigError as error:
                known = name in DETECTORS.names()
                problems += error.problems if known else (f"{path}.{name}: {error}",)
                continue
            quiet = getattr(settings, "resolve_after", SHORTEST_QUIET)
            if quiet < SHORTEST_QUIET:
                problems.append(f"{path}.{name}.resolve_after: expected at least 1s, got {quiet / 10**9:g}s")
            if settings.enabled:
                chosen.append(ChosenDetector(name, plugin, settings))
        if problems:
            raise ConfigError(*problems)
        return cls(tuple(chosen))


class AllowList(str):
    """Where a list of allowances is: "builtin", or a file."""

    __slots__ = ()
    example = "builtin"

    def __new__(cls, text: str) -> "AllowList":
        """ValueError for what is neither."""
        if text != "builtin" and not text.startswith("/"):
            raise ValueError(f'expected "builtin" or the full path of a file, got "{printable(text, 60)}"')
        return super().__new__(cls, text)


@dataclass(frozen=True, slots=True)
class _AllowListFile:
    allow: tuple[Allowance, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file."""

    interface: Interface = Interface("auto")
    """"auto": the first bridge, else the interface of the default route."""
    promiscuous: Literal["auto", True, False] = "auto"
    """"auto": only where this box does not route for its clients."""
    state_dir: Path = Path("/var/lib/idlewire")
    user: str = "auto"
    """Whom to become once the socket is open; "auto": an unprivileged user if started as root."""
    name: str = ""
    """The sensor's name in alerts; empty: the host's."""
    local: tuple[LocalNetwork, ...] = ()
    """Further prefixes whose addresses are clients."""
    capture: CaptureSettings = CaptureSettings()
    web: WebSettings = WebSettings()
    geo: GeoSettings = GeoSettings()
    account: AccountSettings = AccountSettings()
    client: tuple[ClientSettings, ...] = ()
    watch: tuple[Watch, ...] = ()
    allow: tuple[Allowance, ...] = ()
    allow_lists: tuple[AllowList, ...] = (AllowList("builtin"),)
    """Files of [[allow]] tables; "builtin" is the one that is shipped."""
    detect: DetectSettings = DetectSettings()
    foreground: ForegroundSettings = field(default_factory=ForegroundSettings)
    notify: NotifySettings = field(default_factory=NotifySettings)
    """What people are told, and when."""
    sink: tuple[SinkSettings, ...] = ()

    def __post_init__(self) -> None:
        """ValueError for what cannot be a user's name."""
        if not self.user.strip() or not self.user.isprintable():
            raise ValueError(f'user: expected "auto" or the name of a user, got "{printable(self.user, 60)}"')

    @property
    def client_names(self) -> dict[str, str]:
        """MAC -> configured name."""
        return {str(client.mac): str(client.name) for client in self.client}


def load(path: Path | None = None) -> Config:
    """The file's configuration; ConfigError with one line per problem, which begins with the file.

    None: the default path, or all defaults where there is no such file. A file that was named must be there.
    """
    if path is None and not DEFAULT_PATH.exists():
        return parse({})
    path = path or DEFAULT_PATH
    values = read(path)
    try:
        return parse(values)
    except ConfigError as error:
        raise ConfigError(*(f"{path}: {problem}" for problem in error.problems)) from error


def problems(config: Config) -> list[str]:
    """One line, which names its key, for everything on this machine that `run` would stumble over.

    A user that does not exist, databases and files of sinks that cannot be read. Only reads.
    """
    found: list[str] = []
    for source in config.foreground.sources:
        found += _refusal(source.plugin(source.settings, SourceFacts(report=lambda _: None, clock=lambda: 0)).prepare)
    if config.user != "auto":
        found += _refusal(lambda: privileges.account(config.user))
    found += _refusal(lambda: read_allow_lists(config))
    for path in config.geo.databases:
        database = GeoDatabase((path,), state_dir=config.state_dir)
        found += _refusal(database.open)
        database.close()
    if config.web.token_file:
        found += _refusal(lambda: tokens.read("", config.web.token_file, "web"))
    for sink in config.sink:
        found += _refusal(sink.plugin(str(sink.name), sink.settings, "").prepare)
    return found


def read_allow_lists(config: Config) -> list[Allowance]:
    """What the lists of `allow_lists` allow. ConfigError naming file and key."""
    macs = {str(client.name): str(client.mac) for client in config.client}
    found: list[Allowance] = []
    for name in config.allow_lists:
        path = LAWFUL if name == "builtin" else Path(name)
        problems: list[str] = []
        table = collect(problems, lambda: _allow_list(path))  # noqa: B023  # called at once
        resolved = () if table is None else with_ids(table.allow, macs, problems, "allow")
        problems += [*_repeated("allow", "name", (each.name for each in resolved)), *_unknown_detectors(resolved)]
        if problems:
            raise ConfigError(*(f"{path}: {problem}".replace(f"{path}: {path}", str(path)) for problem in problems))
        found += resolved
    return found


@cache
def shipped_list() -> _AllowListFile:
    """The list that is shipped; read once, since later the installation may be closed to us. ConfigError."""
    return build(_AllowListFile, read(LAWFUL))


def _allow_list(path: Path) -> _AllowListFile:
    return shipped_list() if path == LAWFUL else build(_AllowListFile, read(path))


def parse(values: Mapping[str, object]) -> Config:
    """From what TOML became; ConfigError as `load`. Clients that a watch names are MACs in the result."""
    config = build(Config, {"detect": {}, **values})
    problems = [
        *_repeated("client", "name", (client.name for client in config.client)),
        *_repeated("client", "mac", (client.mac for client in config.client)),
        *_repeated("watch", "name", (watch.name for watch in config.watch)),
        *_repeated("allow", "name", (each.name for each in config.allow)),
        *_unknown_detectors(config.allow),
        *_repeated("sink", "name", (sink.name for sink in config.sink)),
    ]
    macs = {str(client.name): str(client.mac) for client in config.client}
    resolved = with_ids(config, macs, problems)
    if problems:
        raise ConfigError(*problems)
    return resolved


def _unknown_detectors(allowances: Iterable[Allowance]) -> list[str]:
    named = [(each, name) for each in allowances for name in each.detectors]
    known = [name for name in DETECTORS.names() if issubclass(DETECTORS.find(name), IdleDetector)] if named else []
    return [
        f'allow ("{each.name}").detectors: no detector of idle clients called "{name}"; known: {", ".join(known)}'
        for each, name in named
        if name not in known
    ]


def _refusal(attempt: Callable[[], object]) -> list[str]:
    try:
        attempt()
    except SensorError as error:
        inside = "CREDENTIALS_DIRECTORY" in os.environ
        return [line for line in str(error).splitlines() if inside or CREDENTIALS not in line]
    return []


def _repeated(table: str, key: str, values: Iterable[str]) -> list[str]:
    counts = Counter(map(str, values))
    return [f'{table}.{key}: "{value}" is used {times} times' for value, times in counts.items() if times > 1]
