"""Phone states of all clients: what sources reported, what is known now, and the timeline of it.

Reports come in order of receipt. What is known is settled when somebody asks or reports, so that nothing has to run
while nothing happens.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from sensor.base.bounded import BoundedDict
from sensor.foreground.fusion import INFERRED, REPORTED, Rules, Verdict, fuse, rank
from sensor.foreground.standing import Standing, fold
from sensor.model.foreground import (
    BACKGROUND,
    FOREGROUND,
    NOTHING_KNOWN,
    UNKNOWN,
    Change,
    Event,
    Foreground,
    ForegroundStates,
    Moment,
    Report,
)

MAX_CLIENTS = 1_000
"""Clients whose state is kept; the one longest unused goes."""

MAX_SOURCES = 8
"""Sources per client."""

MAX_CHANGES = 512
"""Entries of one client's timeline; the oldest go."""

RETURNED = "it came back to the network"
INTERRUPTED = "the sensor was suspended or its clock was set"
"""Why what was reported before does not hold."""

_CODES = {"unknown": UNKNOWN, "foreground": FOREGROUND, "background": BACKGROUND}

_MOMENTS: dict[Event, Moment] = {"locked": "locked", "charging": "charging"}

Expected = Callable[[str, int], tuple[Standing | None, int | None]]
"""(client, now) -> what a schedule expects, and when that changes (ns)."""


class ForegroundBook(ForegroundStates):
    """Keeps what is known of at most MAX_CLIENTS clients."""

    def __init__(self, rules: Rules, expected: Sequence[Expected] = ()) -> None:
        self.outcomes: Counter[tuple[str, str]] = Counter()
        """(source, taken | repeated | refused) -> reports."""
        self.lost: Counter[str] = Counter()
        """Source -> reports that its sequence numbers say are missing."""
        self.evicted = 0
        """Clients that had to go because MAX_CLIENTS are kept."""
        self.returned = 0
        """Times that a client came back after an absence, and what was known of it before did not hold any more."""
        self._rules = rules
        self._expected = tuple(expected)
        self._clients: BoundedDict[str, _Client] = BoundedDict(MAX_CLIENTS)

    def report(self, report: Report) -> bool:
        """Takes a report in; False where it told nothing new."""
        client = self._client(report.client)
        standing = client.standings.get(report.source)
        if standing is None:
            if len(client.standings) >= MAX_SOURCES:
                self.outcomes[report.source, "refused"] += 1
                return False
            standing = Standing(report.source)
        self._settle(report.client, client, report.received_at)
        told = fold(standing, report)
        self.lost[report.source] += told.lost - standing.lost
        # A charger that was connected shows in no standing.
        taken = told is not standing and (told != standing or client.is_later(report))
        self.outcomes[report.source, "taken" if taken else "repeated"] += 1
        if taken:
            client.standings[report.source] = told
            if told.state != "unknown":
                client.why_unknown = None
            client.note(report)
            client.verdict = None
            self._settle(report.client, client, report.received_at)
        return taken

    def withdraw(self, client: str, source: str, now: int) -> None:
        """The source takes back what it said (a person's word ends early; a connection broke)."""
        known = self._clients.peek(client)
        if known is not None and source in known.standings:
            self._settle(client, known, now)
            del known.standings[source]
            known.verdict = None
            self._settle(client, known, now)

    def joined(self, client: str, now: int, *, back_at: int, was_away: bool) -> bool:
        """The client joins the network, where it is again since `back_at` ns; `was_away`: after an absence.

        After an absence nothing holds that its sources said before it; True where that was anything.
        """
        known = self._known(client, now)
        if known is None:
            return False
        self._settle(client, known, now)
        known.moments["joined"] = back_at
        stale = any(each.last_sign < back_at and each.until is None for each in known.standings.values())
        if was_away and stale:
            self.returned += 1
            known.why_unknown = RETURNED
            self._forget_reports(client, known, now, before=back_at)
        return was_away and stale

    def interrupted(self, now: int) -> None:
        """The sensor itself was away (suspended, or its clock stepped): reports may have been lost meanwhile."""
        for client, known in self._clients.items():
            known.changes.clear()
            known.times.clear()
            known.moments.clear()
            known.why_unknown = INTERRUPTED if known.standings else None
            self._forget_reports(client, known, now)

    def retune(self, rules: Rules, expected: Sequence[Expected], now: int) -> None:
        """Other rules and schedules hold from `now` on; what was reported stays."""
        for client, known in self._clients.items():
            self._settle(client, known, now)
        self._rules, self._expected = rules, tuple(expected)
        for client, known in self._clients.items():
            known.verdict = None
            self._settle(client, known, now)

    def withdraw_all(self, source: str, now: int, among: Callable[[str], bool] = lambda _: True) -> None:
        """The source takes back what it said of every client, or of those that `among` chooses."""
        for client in [client for client, said in self.standings() if said.source == source and among(client)]:
            self.withdraw(client, source, now)

    def at(self, client: str, time: int) -> Foreground:
        known = self._known(client, time)
        if known is None:
            return NOTHING_KNOWN
        if not known.times or time >= known.times[-1]:
            return self._settle(client, known, time)
        at = bisect_right(known.times, time)
        return known.changes[at - 1].foreground if at else NOTHING_KNOWN

    def peek(self, client: str, time: int) -> Foreground:
        """What is known at `time`, without settling anything: for those who only show it."""
        known = self._clients.peek(client)
        return self._weigh(client, known or _Client(), time).foreground

    def codes(self, clients: Iterable[str], time: int) -> list[int]:
        """The state numbers of several clients at `time`."""
        if not len(self._clients) and not self._expected:
            return [UNKNOWN for _ in clients]
        return [_CODES[self.at(client, time).state] for client in clients]

    def between(self, client: str, start: int, end: int) -> list[Change]:
        known = self._clients.peek(client)
        if known is None:
            return []
        first = max(0, bisect_right(known.times, start) - 1)
        return known.changes[first : bisect_right(known.times, end)]

    def moments(self, client: str) -> dict[Moment, int]:
        known = self._clients.peek(client)
        return {} if known is None else dict(known.moments)

    def standings(self) -> Iterable[tuple[str, Standing]]:
        """(client, what one source says) for all; to be shown."""
        for client, known in self._clients.items():
            for standing in known.standings.values():
                yield client, standing

    def clients(self) -> list[str]:
        """All clients of which something is known."""
        return list(self._clients)

    def _known(self, client: str, now: int) -> "_Client | None":
        """None where neither a report nor a schedule says anything: others than clients in use take no room."""
        known = self._clients.peek(client)
        if known is None and any(expected(client, now) != (None, None) for expected in self._expected):
            return self._client(client)
        return known

    def _client(self, client: str) -> "_Client":
        known = self._clients.get(client)
        if known is None:
            known = _Client()
            if len(self._clients) >= MAX_CLIENTS:
                self._make_room()
            self._clients.put(client, known)
        return known

    def _make_room(self) -> None:
        """Clients of which only traffic tells go first, and then others; never one of which a person spoke."""
        self.evicted += 1
        for least in (INFERRED, REPORTED):
            for client, known in self._clients.items():
                if all(rank(source) <= least for source in known.standings):
                    self._clients.pop(client)
                    return

    def _forget_reports(self, client: str, known: "_Client", now: int, before: int | None = None) -> None:
        """Those before a time, or all; what a person said holds until its end."""
        known.standings = {
            source: standing
            for source, standing in known.standings.items()
            if standing.until is not None or (before is not None and standing.last_sign >= before)
        }
        known.verdict = None
        self._settle(client, known, now)

    def _settle(self, client: str, known: "_Client", now: int) -> Foreground:
        """Brings the timeline up to `now`; a change that was due in between is entered at its own time."""
        while True:
            if known.verdict is None:
                known.verdict = self._weigh(client, known, now)
                known.enter(now, known.verdict.foreground)
            due = known.verdict.until
            if due is None or due > now:
                return known.verdict.foreground
            known.verdict = self._weigh(client, known, due)
            known.enter(due, known.verdict.foreground)

    def _weigh(self, client: str, known: "_Client", now: int) -> Verdict:
        standings, edges = list(known.standings.values()), []
        for expected in self._expected:
            standing, edge = expected(client, now)
            if standing is not None:
                standings.append(standing)
            if edge is not None and edge > now:
                edges.append(edge)
        verdict = fuse(standings, now, self._rules)
        if verdict.foreground.source is None and known.why_unknown is not None:
            verdict = verdict._replace(foreground=replace(verdict.foreground, because=known.why_unknown))
        if edges:
            verdict = Verdict(verdict.foreground, min(edges if verdict.until is None else [*edges, verdict.until]))
        return verdict


class _Client:
    """What is kept of one client."""

    __slots__ = ("changes", "moments", "standings", "times", "verdict", "why_unknown")

    def __init__(self) -> None:
        self.standings: dict[str, Standing] = {}
        self.changes: list[Change] = []
        self.times: list[int] = []
        """Those of `changes`, ascending."""
        self.moments: dict[Moment, int] = {}
        self.verdict: Verdict | None = None
        self.why_unknown: str | None = None
        """Why nothing holds that was reported, until something is reported again."""

    def enter(self, time: int, foreground: Foreground) -> None:
        """One more entry, where something changed but the age of the report."""
        if self.changes:
            last = self.changes[-1]
            time = max(time, last.time)
            same = (last.foreground.state, last.foreground.source, last.foreground.app, last.foreground.contradicted_by)
            if same == (foreground.state, foreground.source, foreground.app, foreground.contradicted_by):
                return
        elif foreground.source is None:
            return
        self.changes.append(Change(time, foreground))
        self.times.append(time)
        if len(self.changes) > MAX_CHANGES:
            del self.changes[0], self.times[0]

    def is_later(self, report: Report) -> bool:
        """Whether it tells of a moment later than the last of its kind."""
        moment = _MOMENTS.get(report.event)
        return moment is not None and report.observed_at > self.moments.get(moment, -1)

    def note(self, report: Report) -> None:
        if self.is_later(report):
            self.moments[_MOMENTS[report.event]] = report.observed_at
