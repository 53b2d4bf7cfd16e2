"""What a person says about alerts: not now, never, I have seen it, not while I work here."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

Action = Literal["mute", "allow", "acknowledge", "maintenance"]
ACTIONS: tuple[Action, ...] = get_args(Action)

MAX_TEXT = 256
"""Characters of one value."""


@dataclass(frozen=True, slots=True)
class Key:
    """Which alerts are meant: those that match all parts that are not empty."""

    detector: str = ""
    client: str = ""
    """Its id."""
    owner: str = ""
    """Part of the owner's name, whatever the case, as in a watch."""
    domain: str = ""
    """This name and everything under it; as on the wire."""
    address: str = ""
    """As in RFC 5952."""
    port: str = ""
    """`443`, or `tcp/443`."""

    def __bool__(self) -> bool:
        """Whether it has any part."""
        return any(getattr(self, each) for each in PARTS)


PARTS = tuple(each.name for each in fields(Key))


@dataclass(frozen=True, slots=True)
class Ruling:
    """Times in ns since 1970."""

    id: str
    action: Action
    made_at: int
    until: int | None
    """None: for ever."""
    who: str
    note: str = ""
    key: Key = field(default_factory=Key)
    alert: str = ""
    """The id of the alert that is acknowledged."""
    fingerprint: str = ""
    """Of that alert."""
    ended_at: int | None = None
    """When it was taken back, or its alert was over; None: it ends by itself."""
    undone_by: str = ""
    """Who took it back."""
    undone_note: str = ""

    def holds(self, now: int) -> bool:
        """Whether it is neither over nor undone."""
        return self.ended_at is None and (self.until is None or now < self.until)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> "Ruling":
        """From what `to_json` gave. ValueError where it is anything else."""
        try:
            ruling = cls(**{**values, "key": Key(**values["key"])})
        except (KeyError, TypeError):
            raise ValueError("no ruling") from None
        texts = [getattr(ruling, each) for each in ("id", "who", "note", "alert", "fingerprint", "undone_by")]
        texts += [ruling.undone_note, *(getattr(ruling.key, part) for part in PARTS)]
        times = [ruling.made_at, *(time for time in (ruling.until, ruling.ended_at) if time is not None)]
        if not all(isinstance(text, str) and len(text) <= MAX_TEXT for text in texts):
            raise ValueError("no texts")
        if not all(type(time) is int and 0 <= time < 2**63 for time in times):
            raise ValueError("no times")
        if ruling.action not in ACTIONS or not ruling.id:
            raise ValueError("no action")
        return ruling
