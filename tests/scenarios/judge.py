"""Holds what the house said against what a scenario expects, and adds it up."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sensor.deliver.shapes import Json
from tests.scenarios.form import Scenario, Wanted
from tests.scenarios.stage import Outcome


@dataclass(slots=True)
class Verdict:
    """One scenario with one address family."""

    name: str
    must_alert: bool
    expected: str
    got: str
    problems: list[str] = field(default_factory=list)
    tolerated: list[str] = field(default_factory=list)
    """Problems that the scenario puts up with."""
    hits: Counter[str] = field(default_factory=Counter)
    """Detector -> alerts that were expected and came."""
    misses: Counter[str] = field(default_factory=Counter)
    false: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Heard:
    """One alert: how it stood last, and when it was first said."""

    alert: Json
    said_at: int


def judge(name: str, scenario: Scenario, outcome: Outcome) -> Verdict:
    """What is above `info` and not expected is wrong, and so is what is expected and did not come."""
    heard = _alerts(outcome)
    expect = scenario.expect
    verdict = Verdict(name, not expect.silent, _told(expect.alert), _summed(heard))
    left, unexpected = list(heard), defaultdict[str | None, list[str]](list)
    for wanted in expect.alert:
        _hold(scenario, wanted, left, verdict)
    for each in left:
        detector = each.alert["detector"]
        if detector in expect.may or (each.alert["severity"] == "info" and detector not in expect.never):
            continue
        verdict.false[detector] += 1
        client = each.alert["client"]["name"]
        unexpected[client].append(_line(each.alert))
    for lines in unexpected.values():
        kind = verdict.problems if len(lines) > expect.tolerated else verdict.tolerated
        kind += [f"not expected: {line}" for line in lines]
    return verdict


def table(verdicts: Sequence[Verdict]) -> str:
    """Scenario, expected, got, ok; then recall and precision."""
    rows = [("scenario", "expected", "got", "ok")]
    rows += [(each.name, each.expected, each.got, "no" if each.problems else "yes") for each in verdicts]
    widths = [max(len(row[at]) for row in rows) for at in range(3)]
    lines = [
        "  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[3]]) for row in rows
    ]
    return "\n".join([*lines, "", scores(verdicts)])


def scores(verdicts: Sequence[Verdict]) -> str:
    """Per detector and over all alerts, then over whole scenarios."""
    hits, misses, false = (
        sum((getattr(each, kind) for each in verdicts), Counter[str]()) for kind in ("hits", "misses", "false")
    )
    lines = [f"{'detector':20} {'expected':>8} {'came':>5} {'missed':>6} {'false':>5} {'recall':>7} {'precision':>9}"]
    for detector in [*sorted({*hits, *misses, *false}), "all"]:
        one = [sum(counts.values()) if detector == "all" else counts[detector] for counts in (hits, misses, false)]
        lines.append(
            f"{detector:20} {one[0] + one[1]:8} {one[0]:5} {one[1]:6} {one[2]:5} "
            f"{_share(one[0], one[0] + one[1]):>7} {_share(one[0], one[0] + one[2]):>9}"
        )
    alert = [each for each in verdicts if each.must_alert]
    silent = [each for each in verdicts if not each.must_alert]
    lines += [
        "",
        f"runs that must alert: {len(alert)}, right {sum(not each.problems for each in alert)}; "
        f"that must stay silent: {len(silent)}, right {sum(not each.problems for each in silent)}",
    ]
    return "\n".join(lines)


def _hold(scenario: Scenario, wanted: Wanted, left: list[_Heard], verdict: Verdict) -> None:
    """Takes the alerts that are meant out of `left`."""
    least, most = wanted.count.limits
    meant = [each for each in left if _is_meant(each.alert, wanted)]
    if len(meant) > most:
        verdict.false[wanted.detector] += len(meant) - most
        verdict.problems.append(f"{wanted.detector} on {wanted.client}: {len(meant)} times, expected {wanted.count}")
    if len(meant) < least:
        verdict.misses[wanted.detector] += least - len(meant)
        others = "; ".join(_line(each.alert) for each in left) or "nothing"
        verdict.problems.append(
            f"{wanted.detector} on {wanted.client}{f' to {wanted.owner}' if wanted.owner else ''}: "
            f"{len(meant)} times, expected {wanted.count}; there was {others}"
        )
    verdict.hits[wanted.detector] += min(len(meant), most)
    for each in meant:
        left.remove(each)
        verdict.problems += _differences(scenario, wanted, each)


def _is_meant(alert: Json, wanted: Wanted) -> bool:
    owner = (alert["destination"] or {}).get("owner")
    return (
        alert["detector"] == wanted.detector
        and alert["client"]["name"] == wanted.client
        and wanted.owner in ("", owner)
        and wanted.severity in (None, alert["severity"])
    )


def _differences(scenario: Scenario, wanted: Wanted, heard: _Heard) -> list[str]:
    alert, found = heard.alert, []
    if wanted.state not in (None, alert["state"]):
        found.append(f"state is {alert['state']}, expected {wanted.state}")
    begun = scenario.began
    if wanted.after is not None and heard.said_at < wanted.after.after(begun):
        found.append(f"said {(heard.said_at - begun) / 1e9:g} s after the start, expected not before {wanted.after}")
    if wanted.by is not None and heard.said_at > wanted.by.after(begun):
        found.append(f"said {(heard.said_at - begun) / 1e9:g} s after the start, expected by {wanted.by}")
    sent = alert["evidence"]["sent_bytes"]
    if wanted.sent and not wanted.sent[0] <= sent <= wanted.sent[1]:
        found.append(f"{sent} bytes sent, expected {wanted.sent[0]:d} to {wanted.sent[1]:d}")
    found += [f'"{text}" is not in: {alert["summary"]}' for text in wanted.summary if text not in alert["summary"]]
    return [f"{wanted.detector} on {wanted.client}: {problem}" for problem in found]


def _alerts(outcome: Outcome) -> list[_Heard]:
    heard: dict[str, _Heard] = {}
    for time, alert in outcome.said:
        heard.setdefault(alert["id"], _Heard(alert, time)).alert = alert
    for alert in outcome.last:
        if alert["id"] in heard:
            heard[alert["id"]].alert = alert
    return list(heard.values())


def _told(wanted: Iterable[Wanted]) -> str:
    counts = [f"{each.detector}{'' if each.count == '1' else f' x{each.count}'}" for each in wanted]
    return _listed(counts)


def _summed(heard: Iterable[_Heard]) -> str:
    counts = Counter(each.alert["detector"] + (" (info)" if each.alert["severity"] == "info" else "") for each in heard)
    return ", ".join(f"{name}{'' if times == 1 else f' x{times}'}" for name, times in sorted(counts.items())) or "-"


def _listed(texts: Sequence[str]) -> str:
    counts = Counter(texts)
    return ", ".join(f"{text}{'' if times == 1 else f' (x{times})'}" for text, times in counts.items()) or "-"


def _line(alert: Json) -> str:
    return f"{alert['detector']} ({alert['severity']}): {alert['summary']}"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "-"
