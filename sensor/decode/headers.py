"""The header decoder: a batch of frames in, the columns of its IP packets out."""

import numpy as np
from numpy.typing import NDArray

from sensor.decode.link import Located, locate
from sensor.decode.network import Networks, read_networks
from sensor.decode.stats import DecodeStats
from sensor.decode.super_frames import unfold
from sensor.decode.transport import HELLO_BYTES, Transports, read_transports
from sensor.model.frames import FrameBatch
from sensor.model.packets import Packets

__all__ = ["DecodeStats", "HeaderDecoder"]


class HeaderDecoder:
    """Reads link, IP and transport headers of whole batches.

    Only the outermost IP header of a frame counts; what is cut or contradicts itself is counted, not raised. No byte
    beyond a frame's captured ones is believed, although some are read on the way.
    """

    def __init__(self) -> None:
        self.stats = DecodeStats()

    def decode(self, batch: FrameBatch) -> Packets:
        """The IP packets among the frames, in fresh memory: they outlive the batch.

        `payload` leads into `batch.frame(row)`. Of a tunnel by IP protocol (GRE, 6in4 ...) it is what the IP header
        wraps. Where a TCP header is cut before its length field, there is none and `payload_length` is 0.
        """
        where = locate(batch, self.stats)
        network = read_networks(batch.buffer, where, live=batch.direction is not None)
        transport = read_transports(batch.buffer, where, network)
        segments = unfold(batch, where, network, transport)
        _mark_copies(batch, where, network, transport)
        packets = _join(batch, where, network, transport, segments)
        refused = np.concatenate((*network.refused, transport.refused))
        if len(refused):
            packets = _without(packets, refused)
        self._count(batch, packets, network, transport)
        return packets

    def _count(self, batch: FrameBatch, packets: Packets, network: Networks, transport: Transports) -> None:
        stats = self.stats
        refused = sum(map(len, network.refused))
        stats.frames += len(batch)
        stats.packets += len(packets)
        stats.undecodable += refused + len(transport.refused)
        stats.cut += network.cut
        stats.malformed += refused - network.cut + len(transport.refused)
        stats.fragments += sum(map(len, network.fragments))
        stats.beyond_frame += sum(map(len, network.beyond))
        stats.long_chains += network.long_chains
        stats.tunnels += transport.tunnels
        if batch.gso_size is not None:
            stats.super_frames += int(np.count_nonzero(packets.segments > 1))


def _mark_copies(batch: FrameBatch, where: Located, network: Networks, transport: Transports) -> None:
    """Where the buffer does not show how the payload begins, the whole frame beside it has to be looked at."""
    if not batch.copies:
        return
    rows = np.fromiter(batch.copies, np.int64, len(batch.copies))
    at = np.searchsorted(where.row, rows)
    found = at < len(where.row)
    at, rows = at[found], rows[found]
    at = at[where.row[at] == rows]
    shown = where.start[at] + where.room[at] - network.start[at] - transport.header[at]
    at = at[shown < HELLO_BYTES]
    transport.message[at] |= transport.payload_length[at] > 0


def _join(
    batch: FrameBatch, where: Located, network: Networks, transport: Transports, segments: NDArray[np.int64]
) -> Packets:
    whole = len(where.row) == len(batch)
    payload = transport.payload - (batch.offset if whole else batch.offset[where.row])
    payload *= transport.payload_length > 0
    return Packets(
        time=batch.time.copy() if whole else batch.time[where.row],
        words=where.words,
        six=network.six,
        tail=network.tail,
        length=network.length,
        segments=segments,
        flags=transport.flags,
        sequence=transport.sequence,
        payload=payload,
        payload_length=transport.payload_length,
        message=transport.message,
        row=where.row,
    )


def _without(packets: Packets, refused: NDArray[np.int64]) -> Packets:
    keep = np.ones(len(packets), np.bool_)
    keep[refused] = False
    keep_six = keep[packets.six]
    place = np.cumsum(keep) - 1
    return Packets(
        time=packets.time[keep],
        words=packets.words[:, keep],
        six=place[packets.six[keep_six]],
        tail=packets.tail[:, keep_six],
        length=packets.length[keep],
        segments=packets.segments[keep],
        flags=packets.flags[keep],
        sequence=packets.sequence[keep],
        payload=packets.payload[keep],
        payload_length=packets.payload_length[keep],
        message=packets.message[keep],
        row=packets.row[keep],
    )
