"""Whose a new flow is: the service row that its bytes count for."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensor.account.ledger import Ledger
from sensor.account.locality import Local, Locality
from sensor.base.times import SECOND
from sensor.model.flow import FlowKey
from sensor.model.packets import Packets

MAX_PATHS = 16_384
"""Remembered pairs of ends; beyond that all are forgotten and learned again."""

CHUNK = 512
"""New flows that are unpacked at once."""

_MAC, _MAC_BITS = np.uint64((1 << 48) - 1), np.uint64(48)
_FAMILY, _FAMILY_TO = np.uint64(0xFF00), np.uint64(48)
"""The family goes into the highest byte of both MAC columns, so that the other direction has it, too."""
_WIDTH = 48


class Owners(NamedTuple):
    """Whose flows are, one entry each."""

    services: list[int]
    sent: list[bool]
    """Whether the flow's bytes count as sent."""
    refused: list[int]
    """Which of them there was no room to look at: once the second is over they should be asked about again."""


class Classifier:
    """Finds service rows for flows; between two ends that it has seen, the answer stays the same."""

    def __init__(self, ledger: Ledger, local: Local) -> None:
        self._ledger = ledger
        self._locality = Locality(local)
        self._paths: dict[bytes, tuple[int, bool]] = {}
        """Both ends, as `_paths_of` packs them -> (contact, whether the source is the client)."""
        self._flooded: dict[bytes, tuple[int, bool]] = {}
        """MACs of both ends -> service and side of what flows between them in this second, after too many contacts."""
        self._second = 0
        self._evictions = 0

    def replace(self, local: Local) -> None:
        """From now on something else is local; the caller has flows classified again."""
        self._locality.replace(local)
        self._paths.clear()
        self._flooded.clear()

    def classify(self, packets: Packets, new: NDArray[np.int64], times: NDArray[np.int64]) -> Owners:
        """Whose the flow is that each packet in `new` opened, in order.

        All times lie within one second. Between the MACs of a client that opened as many contacts in it as it may,
        what is unknown counts for that client's `other` without a closer look: a flood must stay cheap.
        """
        second = int(times[0]) // SECOND if len(times) else 0
        if second != self._second:
            self._second = second
            self._flooded.clear()
        found = Owners([], [], [])
        for begin in range(0, len(new), CHUNK):
            part = slice(begin, begin + CHUNK)
            self._classify(packets, new[part], times[part], found)
        return found

    def reconsider(self, key: FlowKey, time: int) -> tuple[int, bool] | None:
        """Service and side of a flow that was refused, out of a second budget; None: no room in that either."""
        ends = self._locality.ends(key, 0)
        contact, lasting = self._ledger.assign(ends, time, again=True)
        if not lasting:
            return None
        port = key.destination_port if ends.sent else key.source_port
        return self._ledger.services.row(contact, key.protocol, port), ends.sent

    def _classify(self, packets: Packets, new: NDArray[np.int64], times: NDArray[np.int64], found: Owners) -> None:
        words = packets.words[:, new]
        paths = _paths_of(packets, words, new)
        self._forget_evicted()
        known, flooded, row = self._paths, self._flooded, self._ledger.services.row
        unknown = [at for at, path in enumerate(paths) if path not in known and path[:16] not in flooded]
        keys = dict(zip(unknown, packets.keys(new[unknown]), strict=True)) if unknown else {}
        columns = zip(
            paths,
            (words[3] & np.uint64(0xFF)).tolist(),
            _ports(words[1]),
            _ports(words[0]),
            packets.flags[new].tolist(),
            times.tolist(),
            strict=True,
        )
        for at, (path, protocol, far_port, near_port, flags, time) in enumerate(columns):
            seen = known.get(path)
            if seen is not None:
                contact, sent = seen
                service = row(contact, protocol, far_port if sent else near_port)
            elif (bulk := flooded.get(path[:16])) is not None:
                self._ledger.stats.refused_contacts += 1
                service, sent = bulk
                found.refused.append(len(found.sent))
            else:
                key = keys.get(at) or packets.key(int(new[at]))
                contact, sent, lasting = self._find(path, key, flags, time)
                service = row(contact, protocol, far_port if sent else near_port)
                if not lasting:
                    found.refused.append(len(found.sent))
                self._forget_evicted()
            found.services.append(service)
            found.sent.append(sent)

    def _forget_evicted(self) -> None:
        """Rows that are gone must not be found again."""
        if self._ledger.evictions != self._evictions:
            self._evictions = self._ledger.evictions
            self._paths.clear()
            self._flooded.clear()

    def _find(self, path: bytes, key: FlowKey, flags: int, time: int) -> tuple[int, bool, bool]:
        ends = self._locality.ends(key, flags)
        refused = self._ledger.stats.refused_contacts
        contact, lasting = self._ledger.assign(ends, time)
        if self._ledger.stats.refused_contacts != refused and None not in key[:2]:
            self._flooded[path[:16]] = self._ledger.services.row(contact, 0, 0), ends.sent
        if lasting:
            if len(self._paths) >= MAX_PATHS:
                self._paths.clear()
            self._paths[path] = contact, ends.sent
            if ends.remote is not None:
                self._paths[_turned(path, len(key.source))] = contact, not ends.sent
        return contact, ends.sent, lasting


def _paths_of(packets: Packets, words: NDArray[np.uint64], indices: NDArray[np.int64]) -> list[bytes]:
    """Each packet's ends in _WIDTH bytes: both MACs (and whether there is one), then the addresses as in the words."""
    columns = np.zeros((len(indices), _WIDTH // 8), np.uint64)
    columns[:, 0] = (words[0] & _MAC) | (words[3] >> np.uint64(24) & np.uint64(1)) << _MAC_BITS
    columns[:, 1] = (words[1] & _MAC) | (words[3] >> np.uint64(25) & np.uint64(1)) << _MAC_BITS
    columns[:, :2] |= (words[3] & _FAMILY)[:, None] << _FAMILY_TO
    columns[:, 2] = words[2]
    six, tail = packets.tails(indices)
    columns[six, 3:] = tail.T
    paths: list[bytes] = columns.view(f"V{_WIDTH}")[:, 0].tolist()
    return paths


def _turned(path: bytes, width: int) -> bytes:
    """The path of the other direction; addresses are `width` bytes."""
    macs = path[8:16] + path[0:8]
    if width == 4:
        return macs + path[20:24] + path[16:20] + path[24:]
    return macs + path[40:48] + path[32:40] + path[24:32] + path[16:24]


def _ports(word: NDArray[np.uint64]) -> list[int]:
    ports: list[int] = (word >> _MAC_BITS).astype(np.uint16).byteswap().tolist()
    return ports
