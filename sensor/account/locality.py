"""Which end of a flow is the client, and whether the other end is a destination.

1. A destination is a globally routable address that is not on-link and not one of the sensor's own.
2. Exactly one such end: the other one is the client.
3. None: local talk. It counts for the client that talks with the sensor's box, else for the sender.
4. Two (a capture in the middle of the internet, IPv6 without a known prefix): the client is the end whose MAC
   carries local traffic and is not known as a router, else the end that opened the flow.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from sensor.base.addresses import SPECIAL, Prefixes
from sensor.base.bounded import BoundedDict
from sensor.model.flow import FlowKey
from sensor.model.frames import OUTGOING
from sensor.model.packets import ACK, SYN

MAX_MACS = 4096
"""MACs remembered as near (a client's) or far (a router's)."""


@dataclass(frozen=True, slots=True)
class Local:
    """What counts as local beyond private space: on-link or configured prefixes, and the sensor's own addresses."""

    prefixes: tuple[str, ...] = ()
    own: frozenset[bytes] = field(default_factory=frozenset)


class Ends(NamedTuple):
    """The two ends of a flow as the account sees them."""

    mac: bytes | None
    client: bytes
    remote: bytes | None
    """None: local talk, no destination."""
    sent: bool
    """The flow's source is the client."""


class Locality:
    """Tells the client from the destination; learns which MACs belong to routers."""

    def __init__(self, local: Local) -> None:
        self._near: BoundedDict[bytes, bool] = BoundedDict(MAX_MACS)
        self._far: BoundedDict[bytes, bool] = BoundedDict(MAX_MACS)
        self.replace(local)

    def replace(self, local: Local) -> None:
        """From now on something else is local."""
        self._own = local.own
        self._inside = Prefixes((*SPECIAL, *local.prefixes))

    def ends(self, key: FlowKey, flags: int) -> Ends:
        """`flags`: TCP flags of the flow's first packet."""
        source_out, destination_out = self._outside(key.source), self._outside(key.destination)
        if source_out and destination_out:
            sent = self._sender_is_client(key, flags)
            return self._far_ends(key, sent)
        if destination_out:
            self._learn(key.source_mac, key.destination_mac)
            return self._far_ends(key, sent=True)
        if source_out and not _is_group(key.destination):
            self._learn(key.destination_mac, key.source_mac)
            return self._far_ends(key, sent=False)
        return self._local_talk(key)

    def _outside(self, address: bytes) -> bool:
        return address not in self._inside and address not in self._own

    @staticmethod
    def _far_ends(key: FlowKey, sent: bool) -> Ends:
        if sent:
            return Ends(key.source_mac, key.source, key.destination, sent=True)
        return Ends(key.destination_mac, key.destination, key.source, sent=False)

    def _local_talk(self, key: FlowKey) -> Ends:
        from_box = key.source in self._own or key.direction == OUTGOING
        if from_box and not _is_group(key.destination):
            return Ends(key.destination_mac, key.destination, None, sent=False)
        return Ends(key.source_mac, key.source, None, sent=True)

    def _learn(self, near: bytes | None, far: bytes | None) -> None:
        if near is not None:
            self._near.put(near, True)
        if far is not None:
            self._far.put(far, True)

    def _sender_is_client(self, key: FlowKey, flags: int) -> bool:
        source, destination = self._is_near(key.source_mac), self._is_near(key.destination_mac)
        if source != destination:
            return source
        return flags & (SYN | ACK) != SYN | ACK

    def _is_near(self, mac: bytes | None) -> bool:
        return mac is not None and mac in self._near and mac not in self._far


_LIMITED_BROADCAST = b"\xff\xff\xff\xff"


def _is_group(address: bytes) -> bool:
    """Multicast or limited broadcast (RFC 5771, RFC 919, RFC 4291 section 2.7)."""
    if len(address) == 4:
        return address[0] >> 4 == 0xE or address == _LIMITED_BROADCAST
    return address[0] == 0xFF
