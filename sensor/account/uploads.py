"""What of a flow's bytes is upload: payload that is sent for the first time.

1. TCP: at most as far as the sequence numbers of a second reach beyond the base (RFC 9293 section 3.4), and at most as
   much as was carried. So acknowledgements, keep-alives and retransmissions are none, and neither is a jump without
   payload. The base is where the connection began, and moves on by what was counted.
2. A repetition lies between where the connection began and the base, at most REPEATED before the base; what lies
   further back counts in full. So segments and SYNs that never arrive hide nothing, wherever their numbers are: only as
   many bytes as were counted can be taken for repetitions.
3. UDP: all payload; but datagrams to port 443 below QUIC_ACK bytes are taken for the acknowledgements of a download.
4. Anything else, and later fragments, count without HEADERS; ICMP does not count.
5. The result of a second does not depend on how its packets were batched.
"""

import numpy as np
from numpy.typing import NDArray

from sensor.model.packets import SYN, UDP, Packets

QUIC_ACK = 128
"""Bytes: QUIC packets that carry only ACK frames are 30 to 60 (RFC 9000 section 13.2), a request fills more."""

HEADERS = 48
"""Bytes of a packet that are no payload, where it is not known better."""

REPEATED = 64 << 20
"""Bytes before the base that may come again: more than stacks keep unacknowledged, and numbers come round."""

_QUIC = np.uint64(443 >> 8 | (443 & 0xFF) << 8)
"""The port as a little-endian load sees it."""

_ICMP = (1, 58)

Rows = NDArray[np.int64]


class Uploads:
    """Columns beside those of the flow table, by flow."""

    def __init__(self, most: int) -> None:
        self._based = np.zeros(most, np.bool_)
        self._base = np.zeros(most, np.uint32)
        """Sequence number up to which everything was counted before this second."""
        sums = np.zeros((most, 4), np.int64)
        """Those of one flow beside each other, in one line of the processor's caches."""
        self._ahead = sums[:, 0]
        """How far beyond it this second's payload reaches."""
        self._carried = sums[:, 1]
        """TCP payload of this second, repeats included."""
        self._certain = sums[:, 2]
        """Upload of this second that needs no comparison."""
        self._behind = sums[:, 3]
        """Bytes before the base that are known: what comes again of them is a repetition."""

    def open(self, new: slice) -> None:
        """The rows are new flows."""
        self._based[new] = False
        self._ahead[new] = 0
        self._carried[new] = 0
        self._certain[new] = 0

    def keep(self, rows: Rows) -> None:
        """Only these flows stay, as rows 0, 1, ...; settle first."""
        for column in (self._based, self._base, self._behind, self._ahead, self._carried, self._certain):
            column[: len(rows)] = column[rows]

    def add(self, flows: Rows, sent: NDArray[np.bool_], packets: Packets, span: slice) -> None:
        """Counts the packets in `span`; `flows`: [n] theirs, `sent`: [n] whether the client sent them."""
        flags, length = packets.flags[span], packets.payload_length[span]
        tcp = flags != 0
        loaded = np.flatnonzero(sent & tcp & ((length > 0) | (flags & SYN != 0)))
        if len(loaded):
            opening = flags[loaded] & SYN != 0
            start = packets.sequence[span][loaded] + opening.astype(np.uint32)
            self._add_tcp(flows[loaded], start, length[loaded], opening)
        other = np.flatnonzero(sent & ~tcp)
        if len(other):
            self._add_other(flows[other], packets, other + span.start)

    def waiting(self, count: int) -> NDArray[np.bool_]:
        """[count] which of the first flows have something to settle."""
        return (self._carried[:count] > 0) | (self._certain[:count] > 0)

    def settle(self, flows: Rows) -> Rows:
        """[n] what each of `flows` (each once) uploaded since it was settled last."""
        moved = np.minimum(self._carried[flows], self._ahead[flows])
        uploaded: Rows = self._certain[flows] + moved
        # By what was counted, not to where the numbers went: else one segment far ahead hides all before it.
        self._base[flows] += moved.astype(np.uint32)
        self._behind[flows] = np.minimum(self._behind[flows] + moved, REPEATED)
        for column in (self._ahead, self._carried, self._certain):
            column[flows] = 0
        return uploaded

    def _add_tcp(self, flows: Rows, start: NDArray[np.uint32], length: Rows, opening: NDArray[np.bool_]) -> None:
        fresh = np.flatnonzero(~self._based[flows])
        if len(fresh):
            # Of several packets of one flow the first counts: it is the last to be written.
            self._base[flows[fresh[::-1]]] = start[fresh[::-1]]
            self._behind[flows[fresh]] = 0
            self._based[flows[fresh]] = True
        distance = (start - self._base[flows]).view(np.int32)
        again = np.flatnonzero(opening & (distance != 0))
        if len(again):
            rows = np.flatnonzero(np.isin(flows, flows[again]))
            rows = rows[np.argsort(flows[rows], kind="stable")]
            self._add_reused(flows[rows], start[rows], length[rows], opening[rows])
            rest = np.ones(len(flows), np.bool_)
            rest[rows] = False
            flows, distance, length = flows[rest], distance[rest], length[rest]
        if distance.min(initial=0) < 0:
            back = np.flatnonzero(distance < 0)
            before = back[distance[back] < -self._behind[flows[back]]]
            np.add.at(self._certain, flows[before], length[before])
            length[before] = 0
        np.maximum.at(self._ahead, flows, distance + length)
        np.add.at(self._carried, flows, length)

    def _add_reused(self, flows: Rows, start: NDArray[np.uint32], length: Rows, opening: NDArray[np.bool_]) -> None:
        """For flows whose ports are used for a new connection: packets by flow, then in order, cut into connections.

        In columns too: whoever floods one pair of ports with SYNs must not cost more than others.
        """
        rows = np.arange(len(flows))
        first = np.ones(len(flows), np.bool_)
        first[1:] = flows[1:] != flows[:-1]
        begin = np.maximum.accumulate(np.where(first, rows, 0))
        syn = np.maximum.accumulate(np.where(opening, rows, -1))
        base = np.where(syn >= begin, start[syn], self._base[flows])
        before = np.where(first, self._base[flows], np.roll(base, 1))
        # A SYN with the number of the SYN before it is a repetition, any other begins a connection.
        fresh = opening & (start != before)
        cut = np.flatnonzero(first | fresh)
        last = np.append(first[cut][1:], True)
        flow, goes_on = flows[cut], ~fresh[cut]
        renewed = np.maximum.accumulate(np.where(fresh, rows, -1)) >= begin
        behind = np.where(renewed, 0, self._behind[flows])
        distance = (start - base).view(np.int32)
        certain = distance < -behind
        np.add.at(self._certain, flows[certain], length[certain])
        length = np.where(certain, 0, length)
        ahead = np.maximum.reduceat(distance + length, cut)
        carried = np.add.reduceat(length, cut)
        ended = flow[first[cut] & fresh[cut]]
        self._certain[ended] += np.minimum(self._carried[ended], self._ahead[ended])
        ahead = np.maximum(ahead, np.where(goes_on, self._ahead[flow], 0))
        carried += np.where(goes_on, self._carried[flow], 0)
        np.add.at(self._certain, flow[~last], np.minimum(carried, ahead)[~last])
        self._base[flow[last]], self._behind[flow[last]] = base[cut[last]], behind[cut[last]]
        self._ahead[flow[last]], self._carried[flow[last]] = ahead[last], carried[last]

    def _add_other(self, flows: Rows, packets: Packets, at: Rows) -> None:
        protocol = packets.words[3, at] & np.uint64(0xFF)
        length, segments = packets.payload_length[at], packets.segments[at]
        amount = np.where(length > 0, length, np.maximum(packets.length[at] - HEADERS * segments, 0))
        to_quic = packets.words[1, at] >> np.uint64(48) == _QUIC
        amount[(protocol == UDP) & to_quic & (amount < QUIC_ACK * segments)] = 0
        for icmp in _ICMP:
            amount[protocol == icmp] = 0
        np.add.at(self._certain, flows, amount)
