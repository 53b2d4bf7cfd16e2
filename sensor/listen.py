"""Which packets of a span may carry a message, and what they say."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensor.account.flows import FlowTable
from sensor.decode.messages import MessageDecoder
from sensor.decode.tunnel import is_tunnel
from sensor.model.flow import FlowKey
from sensor.model.frames import FrameBatch
from sensor.model.message import Heard, Segment
from sensor.model.packets import Packets

MAX_TUNNELS = 5_000
"""Tunnel packets of one second that are opened to look for messages; all others only count."""

AHEAD = 2
"""Payload packets of an awaited flow that are fetched at once: most hellos of today take two segments."""

Rows = NDArray[np.int64]


class Budget:
    """How many tunnel packets may still be opened in this second."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_TUNNELS

    def refill(self) -> None:
        """A new second has begun."""
        self.left = MAX_TUNNELS


def listen(
    messages: MessageDecoder,
    table: FlowTable,
    batch: FrameBatch,
    packets: Packets,
    span: slice,
    flows: Rows,
    times: Rows,
    tunnels: Budget,
) -> Iterator[Heard]:
    """Looks at the candidates in order; a stream once begun draws in the later packets of its flow.

    `flows` and `times`: [n] of the packets in `span`. Keeps `table.wanted` true to what the decoder wants.
    """
    carries = packets.payload_length[span] > 0
    single, wanted = packets.message[span], table.wanted
    first = _candidates(single, table, carries, flows)
    waiting = _looked_up(packets, first, span.start, flows, times)
    queue = first[::-1].tolist()
    looked_into: Counter[int] = Counter()
    while queue:
        index = queue.pop()
        packet = waiting.pop(index)
        key, flow = packet.key, packet.flow
        if not (single[index] or wanted[flow]):
            continue
        if is_tunnel(key.protocol, key.source_port, key.destination_port):
            tunnels.left -= 1
            if tunnels.left >= 0:
                yield from messages.feed_tunnel(packet.time, key, packet.payload(batch))
            continue
        start = int(table.start[flow]) if table.started[flow] else None
        heard, more = messages.feed(packet.segment(batch), start)
        yield from heard
        looked_into[flow] += 1
        if more and (looked_into[flow] == AHEAD or not wanted[flow]):
            later = np.flatnonzero((flows[index + 1 :] == flow) & carries[index + 1 :]) + index + 1
            later = np.array([other for other in later.tolist() if other not in waiting], np.int64)
            if len(later):
                waiting |= _looked_up(packets, later, span.start, flows, times)
                queue = sorted([*queue, *later.tolist()], reverse=True)
        wanted[flow] = more


class _Candidate(NamedTuple):
    """What is needed of a packet to look into it."""

    key: FlowKey
    flow: int
    time: int
    row: int
    begin: int
    length: int
    sequence: int
    flags: int

    def payload(self, batch: FrameBatch) -> bytes:
        return batch.part(self.row, self.begin, self.length) if self.begin else b""

    def segment(self, batch: FrameBatch) -> Segment:
        return Segment(self.time, *self.key[:7], self.sequence, self.flags, self.payload(batch), self.length)


def _candidates(single: NDArray[np.bool_], table: FlowTable, carries: NDArray[np.bool_], flows: Rows) -> Rows:
    """Packets that are worth a look by themselves, and the first payloads of each flow that is waited for."""
    chosen: list[Rows] = [np.flatnonzero(single)]
    awaited = np.flatnonzero(table.wanted.take(flows) & carries & ~single)
    for _ in range(AHEAD):
        if not len(awaited):
            break
        chosen.append(table.firsts(flows, awaited))
        later = np.ones(len(awaited), np.bool_)
        later[np.searchsorted(awaited, chosen[-1])] = False
        awaited = awaited[later]
    return np.sort(np.concatenate(chosen)) if len(chosen) > 1 else chosen[0]


def _looked_up(packets: Packets, indices: Rows, start: int, flows: Rows, times: Rows) -> dict[int, _Candidate]:
    """The packets at `indices` of a span that begins at `start`, all at once."""
    if not len(indices):
        return {}
    at = indices + start
    columns = zip(
        packets.keys(at),
        flows[indices].tolist(),
        times[indices].tolist(),
        packets.row[at].tolist(),
        packets.payload[at].tolist(),
        packets.payload_length[at].tolist(),
        packets.sequence[at].tolist(),
        packets.flags[at].tolist(),
        strict=True,
    )
    return dict(zip(indices.tolist(), map(_Candidate._make, columns), strict=True))
