"""What is known of a client at one moment, out of what all its sources said: a pure function.

1. A source is believed until its last transition is `max_age` old, until MISSED heartbeats or polls stayed out, or as
   long as it said itself (`until`); never while reports of it may be lost. Silence of a believed source is no news.
2. Sources have ranks: a person's own word (manual), what a device reports (push, home_assistant, adb, mqtt), what a
   schedule expects, what traffic looks like (inferred). Within the best rank that says anything, the freshest wins.
3. Others that say the opposite are named, so that a contradiction shows: those of that rank, and what a device reports
   against a person's word.
4. For `grace` after a device was put away it still counts as it did before: what was under way may end.
5. Where nobody is believed, the state is unknown.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from sensor.base.times import SECOND
from sensor.foreground.standing import Standing
from sensor.model.foreground import NOTHING_KNOWN, Foreground, State

MANUAL, REPORTED, EXPECTED, INFERRED = 3, 2, 1, 0
RANKS = {"manual": MANUAL, "schedule": EXPECTED, "inferred": INFERRED}
"""Source -> rank; all others report."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How long reports hold, ns."""

    max_age: int = 12 * 3600 * SECOND
    grace: int = 60 * SECOND


class Verdict(NamedTuple):
    """What is known, and until when that stays so if nobody reports anything (ns; None: for ever)."""

    foreground: Foreground
    until: int | None


def fuse(standings: Iterable[Standing], now: int, rules: Rules) -> Verdict:
    """What is known at `now` ns."""
    believed, edges = [], []
    for standing in standings:
        end = _believed_until(standing, rules)
        if standing.state == "unknown" or standing.doubted or now >= end:
            continue
        edges.append(end)
        believed.append(standing)
        over = _grace_until(standing, rules)
        if now < over:
            edges.append(over)
    if not believed:
        return Verdict(NOTHING_KNOWN, None)
    best = max(believed, key=_weight)
    state = _effective(best, now, rules)
    others = tuple(
        sorted(
            each.source
            for each in believed
            if rank(each.source) >= min(rank(best.source), REPORTED)
            and {_effective(each, now, rules), state} == {"foreground", "background"}
        )
    )
    shown = best.app if state == "foreground" and best.state == "foreground" else None
    because = best.because if state == best.state else None
    return Verdict(Foreground(state, best.source, best.observed_at, best.since, shown, others, because), min(edges))


def rank(source: str) -> int:
    """How much a source's word counts."""
    return RANKS.get(source, REPORTED)


def _weight(standing: Standing) -> tuple[int, int, str]:
    return rank(standing.source), standing.observed_at, standing.source


def _believed_until(standing: Standing, rules: Rules) -> int:
    if standing.until is not None:
        return standing.until
    end = standing.observed_at + rules.max_age
    return end if standing.silent_at is None else min(end, standing.silent_at)


def _grace_until(standing: Standing, rules: Rules) -> int:
    """The end of the grace time; -1 where there is none."""
    graced = standing.state == "background" and rank(standing.source) == REPORTED
    return standing.since + rules.grace if graced else -1


def _effective(standing: Standing, now: int, rules: Rules) -> State:
    return standing.before if now < _grace_until(standing, rules) else standing.state
