"""What is told of each step: a line as it happens, or all of them as one object at the end."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sensor.base.text import printable

Outcome = Literal["ok", "FAILED", "off"]

WIDTH = 64
"""Columns in front of the outcome."""
MAX_WHAT = 300


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was tried."""

    step: str
    """captured, alert, counted, sink lab."""
    what: str
    """What came of it, in words."""
    outcome: Outcome
    seconds: float | None = None
    """How long it took, where that means something."""
    advice: str | None = None
    """What to do where it failed."""

    @property
    def line(self) -> str:
        """`captured     IPv4: first packet seen after 0.09 s          ok`."""
        return f"{f'{self.step:<12} {printable(self.what, MAX_WHAT)}':<{WIDTH}} {self.outcome}"


class Report:
    """All steps, in order."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """`say`: gets each line as it happens."""
        self.steps: list[Step] = []
        self._say = say

    def done(self, step: str, what: str, seconds: float | None = None) -> None:
        """It worked."""
        self._add(Step(step, what, "ok", seconds))

    def failed(self, step: str, what: str, advice: str) -> None:
        """It did not; what to do about it."""
        self._add(Step(step, what, "FAILED", None, advice))

    def left_out(self, step: str, what: str) -> None:
        """The settings do not ask for it."""
        self._add(Step(step, what, "off"))

    @property
    def succeeded(self) -> bool:
        """Nothing failed, and something was tried."""
        return bool(self.steps) and all(step.outcome != "FAILED" for step in self.steps)

    def conclusion(self) -> list[str]:
        """What it comes to, and what to do about what failed."""
        failed = [step for step in self.steps if step.outcome == "FAILED"]
        if not failed:
            return ["Everything that was tried works."]
        advice = dict.fromkeys(step.advice for step in failed if step.advice)
        count = f"{len(failed)} steps" if len(failed) > 1 else "1 step"
        return [f"{count} failed. What to do:", *(f"  - {each}" for each in advice)]

    def shape(self) -> dict[str, object]:
        """As one JSON object."""
        return {
            "succeeded": self.succeeded,
            "steps": [
                {
                    "step": each.step,
                    "what": printable(each.what, MAX_WHAT),
                    "outcome": each.outcome.lower(),
                    "seconds": None if each.seconds is None else round(each.seconds, 3),
                    "advice": each.advice,
                }
                for each in self.steps
            ],
        }

    def _add(self, step: Step) -> None:
        self.steps.append(step)
        self._say(step.line)
