"""The places that someone watches, and whether a contact is at one of them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sensor.base.countries import Country
from sensor.base.domains import SuffixSet
from sensor.base.fields import Asn, ClientRef, Domain, Label, Network, Owner
from sensor.model.activity import Contact
from sensor.model.alert import Severity

KINDS = ("countries", "asns", "owners", "cidrs", "domains")
"""The five kinds of place."""


@dataclass(frozen=True, slots=True)
class Watch:
    """One [[watch]]: an address matches if one of the places does and none of the exceptions."""

    name: Label
    enabled: bool = True
    countries: tuple[Country, ...] = ()
    """ISO 3166-1 alpha-2."""
    asns: tuple[Asn, ...] = ()
    owners: tuple[Owner, ...] = ()
    """Parts of the owner's name, whatever the case."""
    cidrs: tuple[Network, ...] = ()
    domains: tuple[Domain, ...] = ()
    """Each with everything under it."""
    severity: Severity = "warning"
    clients: tuple[ClientRef, ...] = ()
    """MACs, or names given under [[client]]; none: all clients."""
    except_countries: tuple[Country, ...] = ()
    except_asns: tuple[Asn, ...] = ()
    except_owners: tuple[Owner, ...] = ()
    except_cidrs: tuple[Network, ...] = ()
    except_domains: tuple[Domain, ...] = ()

    def __post_init__(self) -> None:
        """ValueError where it watches no place at all."""
        if not any(getattr(self, kind) for kind in KINDS):
            raise ValueError(f"names no place; give one of {', '.join(KINDS)}")


def places(watch: Watch) -> Watch:
    """What a watch matches, whatever its severity."""
    return replace(watch, severity="info")


class Matcher:
    """One watch, ready to be asked."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._clients = frozenset(watch.clients)
        self._places = Places(watch.countries, watch.asns, watch.owners, watch.cidrs, watch.domains)
        self._exceptions = Places(
            watch.except_countries, watch.except_asns, watch.except_owners, watch.except_cidrs, watch.except_domains
        )

    def matches(self, contact: Contact) -> bool:
        """Whether the contact's client is watched here, and its far end is at one of the places."""
        if self._clients and contact.client not in self._clients:
            return False
        return any(True for _ in self._places.at(contact)) and not self.excepts(contact)

    def excepts(self, contact: Contact) -> bool:
        """Whether the contact is at one of the exceptions."""
        return any(True for _ in self._exceptions.at(contact))

    def places(self, contact: Contact) -> dict[str, object]:
        """Which of the places it is at, by kind; one of each kind at most."""
        return dict(self._places.at(contact))


class Places:
    """Places of the five kinds."""

    def __init__(
        self,
        countries: tuple[Country, ...],
        asns: tuple[Asn, ...],
        owners: tuple[Owner, ...],
        cidrs: tuple[Network, ...],
        domains: tuple[Domain, ...],
    ) -> None:
        self._countries = frozenset[str](countries)
        self._asns = frozenset[int](asns)
        self._owners = [(owner.casefold(), str(owner)) for owner in owners]
        self._networks = _Networks(cidrs)
        self._domains = SuffixSet(domains)

    def at(self, contact: Contact) -> Iterator[tuple[str, object]]:
        """(kind, place) for those that the contact is at; what is unknown is at no place."""
        place = contact.place
        if place.country in self._countries:
            yield "country", place.country
        if place.asn in self._asns:
            yield "asn", place.asn
        owner = self._owners and place.owner and self._owner(place.owner.casefold())
        if owner:
            yield "owner", owner
        network = self._networks.match(contact.address)
        if network is not None:
            yield "cidr", network
        if len(self._domains):
            for name in contact.names:
                domain = self._domains.match(name.name)
                if domain is not None:
                    yield "domain", domain
                    return

    def _owner(self, folded: str) -> str | None:
        return next((text for part, text in self._owners if part in folded), None)


class _Networks:
    """Address blocks; the longest one around an address is found in one look-up per prefix length."""

    def __init__(self, networks: tuple[Network, ...]) -> None:
        # Keys are bytes, as everything that a packet is looked up by.
        self._starts: dict[tuple[int, int], dict[bytes, str]] = {}
        for network in networks:
            width, length, first = network.block()
            self._starts.setdefault((width, length), {})[first.to_bytes(width, "big")] = str(network)
        self._masks = [
            (width, ((1 << length) - 1) << (8 * width - length), self._starts[width, length])
            for width, length in sorted(self._starts, reverse=True)
        ]

    def match(self, address: bytes) -> str | None:
        for width, mask, starts in self._masks:
            if len(address) == width:
                network = starts.get((int.from_bytes(address, "big") & mask).to_bytes(width, "big"))
                if network is not None:
                    return network
        return None
