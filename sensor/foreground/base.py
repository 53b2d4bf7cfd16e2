"""What a source of phone states is."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from sensor.base.registry import Registry
from sensor.base.times import SECOND
from sensor.foreground.standing import Standing
from sensor.model.activity import Activity
from sensor.model.foreground import NOTHING_KNOWN, Foreground, Report, State
from sensor.model.posted import Answer, Posted, refused

MAX_SKEW = 30 * SECOND
"""A phone's clock that differs more from ours is not believed: the time of receipt is used instead."""


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What sources may ask and call."""

    report: Callable[[Report], object]
    """Hands a report on, False where it told nothing new; called on the event loop, never raises."""
    clock: Callable[[], int]
    """ns since 1970, for sources that hear of things as they happen."""
    called: Callable[[str], str] = str
    """A client's name by its id, for log lines."""
    known: Callable[[str, int], Foreground] = lambda _client, _now: NOTHING_KNOWN
    """What is known of a client at a time (ns), by all sources."""
    ids: Mapping[str, str] = field(default_factory=dict)
    """A client's id by its configured name."""
    whose: Callable[[str], str | None] = lambda _: None
    """The id of the client that has an address now; None: nobody known."""
    seen: Callable[[str], bool] = lambda _: True
    """Whether a client of that id was seen on the network."""
    withdraw: Callable[[str, str], None] = lambda _client, _source: None
    """(client, source): the source takes back what it said."""
    state_dir: Path | None = None
    """Where a source may keep what must survive a restart; None: nowhere."""


class Source:
    """One way to learn of phone states. A plug-in file in `sources/` sets `PLUGIN` to its subclass.

    Its constructor is inert. Its settings name clients by id: configured names were replaced before.
    """

    name: ClassVar[str] = ""
    """The name of its file; set when the class is made."""
    settings_type: ClassVar[type[Any]]
    """A frozen dataclass: the keys of [foreground.<name>], among them `enabled: bool`."""
    path: ClassVar[str | None] = None
    """Under which path of the web server it takes posts; None: it does not."""

    def __init_subclass__(cls) -> None:
        cls.name = cls.__module__.rpartition(".")[2]

    def __init__(self, settings: Any, facts: SourceFacts) -> None:
        """`settings` is of type `settings_type`."""
        self.facts = facts
        self.counts: dict[str, int] = {}
        """Kind -> times, of a closed set: what became of its reports, and its failures."""
        self.verdicts: Counter[tuple[State, State]] = Counter()
        """(what was said, what is known better) -> times, for sources that can tell how right somebody is."""

    def prepare(self) -> None:
        """Reads files (tokens) while the sensor still may. ConfigError."""

    async def run(self) -> None:
        """Reports until cancelled; comes back from every failure by itself, with a growing pause, and counts it."""

    @property
    def listen(self) -> str:
        """A further host:port that serves nothing but its path; "": none."""
        return ""

    def accept(self, posted: Posted, now: int) -> Answer:
        """What comes of a post to its path, at `now` ns; never raises."""
        return refused(404, "nothing is taken here")

    def needs_sender(self, posted: Posted) -> bool:
        """Whether whose report this is depends on who sent it: cheap, and False for strangers."""
        return False

    async def refresh(self, client: str) -> None:
        """Asks the client for a fresh reading now, where the source can; bounded in time, never raises."""

    def expected(self, client: str, now: int) -> tuple[Standing | None, int | None]:
        """What the source expects of a client at `now` without any report, and when that changes (ns)."""
        return None, None

    def counted(self, client: str, start: int, end: int) -> bool | None:
        """Whether a client itself counted what it sent from `start` to `end` (ns) as background; None: unknown."""
        return None

    def second(self, activity: Activity, called: Mapping[int, str]) -> None:
        """A second of packet time is over; `called`: the ids of the clients in it, by the activity's numbers."""


def believed(claimed: int | None, received: int) -> int:
    """When something happened: as claimed, unless that differs from the receipt by more than MAX_SKEW (all ns)."""
    return received if claimed is None or abs(claimed - received) > MAX_SKEW else claimed


SOURCES: Registry[Source] = Registry("sensor.foreground.sources", "foreground source")
"""The files in `sources/`."""
