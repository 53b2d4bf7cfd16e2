"""A far end that a client talks to, as others see it."""

from dataclasses import dataclass
from typing import NamedTuple

from sensor.model.client import Rates, Totals


class Name(NamedTuple):
    """What the client itself called an address, and how we know."""

    name: str
    source: str
    """tls, dns (asked for), cname (behind the name asked for)."""


class Place(NamedTuple):
    """Where an address is and whose; every part may be unknown."""

    country: str | None = None
    """ISO 3166-1 alpha-2."""
    asn: int | None = None
    owner: str | None = None


class Service(NamedTuple):
    """One protocol and port of a destination; port 0: no ports, or the rest beyond the cap."""

    protocol: int
    port: int
    totals: Totals


@dataclass(frozen=True, slots=True)
class Destination:
    """One (client, client address, remote address) at one moment."""

    client: str
    """The client's id."""
    client_address: str
    address: str
    names: tuple[Name, ...]
    """Best first."""
    place: Place
    totals: Totals
    rates: Rates
    services: tuple[Service, ...]
