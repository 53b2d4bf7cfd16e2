"""Super-frames (GRO, TSO, UFO): what crossed the wire in place of the one frame that the kernel shows."""

import numpy as np
from numpy.typing import NDArray

from sensor.decode.link import Located
from sensor.decode.network import Networks
from sensor.decode.transport import Transports
from sensor.model.frames import FrameBatch
from sensor.model.packets import TCP

GSO_UDP, GSO_ECN = 3, 0x80
"""Of linux/virtio_net.h: UDP cut into IP fragments; a flag beside the type."""
_FRAGMENT_HEADER = 8
"""Of IPv6 (RFC 8200 section 4.5)."""


def unfold(batch: FrameBatch, where: Located, network: Networks, transport: Transports) -> NDArray[np.int64]:
    """[n] packets on the wire for each row; raises `network.length` to the IP bytes of all of them."""
    segments = np.ones(len(where.row), np.int64)
    if batch.gso_size is None or not batch.gso_size.any():
        return segments
    unit = batch.gso_size[where.row].astype(np.int64)
    rows = np.flatnonzero(unit)
    unit = unit[rows]
    ip_header = network.start[rows] - where.start[rows]
    header = ip_header + np.where(network.protocol[rows] == TCP, np.maximum(transport.header[rows], 20), 8)
    extra = np.zeros(len(rows), np.int64)
    if batch.gso_type is not None:
        fragments = batch.gso_type[where.row[rows]] & ~np.uint8(GSO_ECN) == GSO_UDP
        header = np.where(fragments, ip_header, header)
        extra = np.where(fragments & where.six[rows], _FRAGMENT_HEADER, 0)
    payload = network.length[rows] - header
    count = np.maximum(-(-payload // unit), 1)
    segments[rows] = count
    network.length[rows] += (count - 1) * header + np.where(count > 1, count * extra, 0)
    return segments
