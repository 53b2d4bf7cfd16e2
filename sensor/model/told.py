"""What is remembered of the alerts of one fingerprint, as router and store hand it to each other."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Told:
    """One row; the store does not look into it."""

    fingerprint: str
    facts: str | None
    """What the router knows, as it writes it; None: it has forgotten all about it."""
    alert: str | None = None
    """The alert in its last state; None: the store has it already."""

    def after(self, earlier: "Told | None") -> "Told":
        """The same, where `earlier` is not in the store yet."""
        if earlier is None or self.alert is not None or self.facts is None:
            return self
        return Told(self.fingerprint, self.facts, earlier.alert)
