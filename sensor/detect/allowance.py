"""What a client may send while nobody uses it: an owner's "this is fine", and the list that is shipped."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sensor.base.countries import Country
from sensor.base.fields import Asn, ClientRef, Domain, Label, Network, Owner
from sensor.base.units import Size
from sensor.detect.watch import KINDS, Places
from sensor.model.activity import Contact


class Reason(str):
    """Why something is fine, in words for whoever reads it later."""

    __slots__ = ()
    example = "photo backup that the owner wants"

    def __new__(cls, text: str) -> "Reason":
        """1 to 300 printable characters."""
        if not 1 <= len(text.strip()) <= 300 or not text.isprintable():
            raise ValueError("expected 1 to 300 printable characters")
        return super().__new__(cls, text.strip())


@dataclass(frozen=True, slots=True)
class Allowance:
    """One [[allow]]: what is at a place of *every* kind that it names, up to `max_bytes`, raises no alert.

    All kinds must match, because a client chooses the names it utters: a domain is safest beside an owner.
    """

    name: Label
    reason: Reason
    enabled: bool = True
    clients: tuple[ClientRef, ...] = ()
    """None: all clients."""
    countries: tuple[Country, ...] = ()
    asns: tuple[Asn, ...] = ()
    owners: tuple[Owner, ...] = ()
    cidrs: tuple[Network, ...] = ()
    domains: tuple[Domain, ...] = ()
    detectors: tuple[Label, ...] = ()
    """None: all that judge what happens while nobody uses a client."""
    max_bytes: Size | None = None
    """Sent within the detector's window; beyond it the alert comes all the same. None: any amount."""

    def __post_init__(self) -> None:
        """ValueError where it names no place at all."""
        if not any(getattr(self, kind) for kind in KINDS):
            raise ValueError(f"names no place; give one of {', '.join(KINDS)}")

    def covers(self, detector: str, sent: int) -> bool:
        """Whether `sent` bytes are fine for that detector."""
        return (not self.detectors or detector in self.detectors) and (self.max_bytes is None or sent <= self.max_bytes)


class Allowances:
    """All of them, ready to be asked."""

    def __init__(self, own: Iterable[Allowance] = (), shipped: Iterable[Allowance] = ()) -> None:
        """`own`: the configuration's; they hold at watched places, too. `shipped`: those of lists, which do not."""
        self._own = [_Ready(allowance) for allowance in own if allowance.enabled]
        self._shipped = [_Ready(allowance) for allowance in shipped if allowance.enabled]

    def ship(self, more: Sequence[Allowance]) -> None:
        """Adds those of a list."""
        self._shipped += [_Ready(allowance) for allowance in more if allowance.enabled]

    def same(self, allowance: Allowance, *, watched: bool) -> Allowance | None:
        """The one that says the same, if one still does."""
        ready = self._own if watched else [*self._own, *self._shipped]
        return next((each.allowance for each in ready if each.allowance == allowance), None)

    def of(self, contact: Contact, *, watched: bool) -> tuple[Allowance, ...]:
        """Those that speak for the contact."""
        ready = self._own if watched else [*self._own, *self._shipped]
        return tuple(each.allowance for each in ready if each.matches(contact))


class _Ready:
    def __init__(self, allowance: Allowance) -> None:
        self.allowance = allowance
        self._clients = frozenset(allowance.clients)
        self._places = Places(allowance.countries, allowance.asns, allowance.owners, allowance.cidrs, allowance.domains)
        self._kinds = sum(bool(getattr(allowance, kind)) for kind in KINDS)

    def matches(self, contact: Contact) -> bool:
        if self._clients and contact.client not in self._clients:
            return False
        return sum(1 for _ in self._places.at(contact)) == self._kinds
