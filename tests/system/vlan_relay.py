"""A VLAN interface in user space, for kernels without CONFIG_VLAN_8021Q: tags and untags between veths and wires.

python vlan_relay.py VLAN NAMESPACE:WIRE:INNER ...    until it is killed; prints "ready" once all sockets are open.

INNER is the far end of a veth pair whose near end carries the VLAN's addresses (checksum and segmentation
offload off on it: what is read from INNER must be finished frames).
"""

import selectors
import socket
import struct
import sys

from lab import Namespace

SOL_PACKET, PACKET_AUXDATA, PACKET_OUTGOING = 263, 8, 4
TP_STATUS_VLAN_VALID = 0x10
"""include/uapi/linux/if_packet.h"""


def open_socket(namespace: str, interface: str) -> socket.socket:
    """Every frame of one interface, with the tag that the kernel took out."""
    with Namespace(namespace).entered():
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        opened.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        opened.bind((interface, 3))
    return opened


def relay(vlan: int, pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    """Forever: from each inner socket tagged to its wire, and back."""
    selector = selectors.DefaultSelector()
    for wire, inner in pairs:
        selector.register(wire, selectors.EVENT_READ, (True, inner))
        selector.register(inner, selectors.EVENT_READ, (False, wire))
    tag = struct.pack("!HH", 0x8100, vlan)
    while True:
        for ready, _ in selector.select():
            frame, ancillary, _flags, address = ready.fileobj.recvmsg(65600, 64)
            if address[2] == PACKET_OUTGOING:
                continue
            from_wire, target = ready.data
            try:
                if not from_wire:
                    target.send(frame[:12] + tag + frame[12:])
                elif vlan_of(ancillary) == vlan:
                    target.send(frame)
            except OSError:
                continue  # the far interface is down or full: a wire would lose the frame too


def vlan_of(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    """From struct tpacket_auxdata."""
    for level, kind, data in ancillary:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, _len, _snap, _mac, _net, tci, _tpid = struct.unpack_from("=IIIHHHH", data)
            if status & TP_STATUS_VLAN_VALID:
                return tci & 0xFFF
    return None


if __name__ == "__main__":
    ends = [word.split(":") for word in sys.argv[2:]]
    joined = [(open_socket(namespace, wire), open_socket(namespace, inner)) for namespace, wire, inner in ends]
    print("ready", flush=True)
    relay(int(sys.argv[1]), joined)
