"""A watched client, as others see it."""

from dataclasses import dataclass
from typing import NamedTuple


class Rates(NamedTuple):
    """Bytes per second, sent and received."""

    sent_1s: float = 0.0
    received_1s: float = 0.0
    sent_1m: float = 0.0
    received_1m: float = 0.0


class Totals(NamedTuple):
    """What was counted, in IP-layer bytes and wire packets; times in ns."""

    sent_bytes: int = 0
    received_bytes: int = 0
    sent_packets: int = 0
    received_packets: int = 0
    first_seen: int = 0
    last_seen: int = 0


@dataclass(frozen=True, slots=True)
class Client:
    """One client at one moment."""

    id: str
    """Never changes: the MAC, or the address where the link carries no MAC, or "other"."""
    mac: str | None
    addresses: tuple[str, ...]
    vendor: str | None
    """From the MAC; "private address" for a locally administered one."""
    name: str | None
    totals: Totals
    local: Totals
    """The part of `totals` that went to no destination: the router, other clients, multicast."""
    other: Totals
    """The part of `totals` whose destination rows were evicted."""
    rates: Rates
