"""The packet ring on real interfaces in network namespaces."""

import fcntl
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pytest

from sensor.capture.packet_socket import BLOCK, InterfaceGone
from sensor.capture.ring import LINKTYPE_RAW, Ring
from sensor.errors import CaptureError
from sensor.model.frames import HOST, OTHER_HOST, OUTGOING, PADDING, FrameBatch

INTERNET = "42.62.48.10"
HELLO = bytes.fromhex("1603010600010005fc0303")


class Seen:
    """Copies of what batches held, frame by frame."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.rows: list[dict[str, Any]] = []

    def add(self, batch: FrameBatch) -> None:
        for row in range(len(batch)):
            self.frames.append(batch.frame(row))
            columns = {"length": batch.length, "captured": batch.captured, "time": batch.time}
            columns |= {"direction": batch.direction, "vlan": batch.vlan, "gso": batch.gso_size}
            self.rows.append({name: 0 if column is None else int(column[row]) for name, column in columns.items()})
            self.rows[-1] |= {"frame": self.frames[-1], "copied": row in batch.copies}

    def udp(self, *, port: int, column: str = "direction") -> list[int]:
        """One column of the IPv4 UDP frames to or from a port."""
        return [row[column] for row in self.rows if self._ports(row["frame"], 17) & {port}]

    def to(self, protocol: int, port: int) -> list[dict[str, Any]]:
        """The IPv4 frames to a port."""
        wanted = bytes([protocol]), port.to_bytes(2, "big")
        return [row for row in self.rows if (row["frame"][23:24], row["frame"][36:38]) == wanted]

    @staticmethod
    def _ports(frame: bytes, protocol: int) -> set[int]:
        return set(struct.unpack(">HH", frame[34:38])) if frame[23:24] == bytes([protocol]) else set()


@contextmanager
def ring_on(world: Any, interface: str = "br0", where: str = "ap", **more: Any) -> Iterator[Ring]:
    with world.inside(where):
        ring = Ring(interface, **more)
        ring.open()
        try:
            yield ring
        finally:
            ring.close()


def drained(ring: Ring, seen: Seen | None = None, quiet: float = 0.15) -> Seen:
    """All frames until none has come for a while."""
    seen, end = seen or Seen(), time.monotonic() + quiet
    while time.monotonic() < end:
        batch = ring.poll()
        if batch is None:
            time.sleep(0.005)
        else:
            seen.add(batch)
            end = time.monotonic() + quiet
    return seen


def send(world: Any, where: str, payloads: list[bytes], to: tuple[str, int]) -> None:
    with world.socket(where) as sender:
        for payload in payloads:
            sender.sendto(payload, to)


@contextmanager
def tcp_server(world: Any, port: int, answer: bytes = b"") -> Iterator[list[int]]:
    """Reads one connection in the internet to its end; yields where the number of bytes will stand."""
    read: list[int] = []
    listener = world.socket("w", socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((INTERNET, port))
    listener.listen()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            total = 0
            while data := connection.recv(1 << 20):
                total += len(data)
            read.append(total)

    with ExitStack() as stack:
        stack.callback(listener.close)
        thread = threading.Thread(target=serve)
        thread.start()
        yield read
        thread.join(10)


@pytest.fixture
def internet_service(world: Any) -> Iterator[None]:
    """A UDP service that answers with what it got."""
    service = world.socket("w")
    service.bind((INTERNET, 7007))
    service.settimeout(0.1)
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            try:
                data, sender = service.recvfrom(65535)
            except TimeoutError:
                continue
            service.sendto(data, sender)

    thread = threading.Thread(target=serve)
    thread.start()
    yield
    stop.set()
    thread.join()
    service.close()


@pytest.mark.usefixtures("internet_service")
def test_routed_frames_are_seen_once_with_direction_and_time(world: Any) -> None:
    before = time.time_ns()
    with ring_on(world) as ring, world.socket("c1") as client:
        client.settimeout(3)
        for size in (10, 100, 1000):
            client.sendto(b"x" * size, (INTERNET, 7007))
            client.recv(2000)
        seen = drained(ring)
    assert seen.udp(port=7007) == [HOST, OUTGOING] * 3
    assert seen.udp(port=7007, column="length") == [52, 52, 142, 142, 1042, 1042]
    assert seen.udp(port=7007, column="captured") == [52, 52, 142, 142, 173, 173]
    assert all(before < at < time.time_ns() for at in seen.udp(port=7007, column="time"))
    assert ring.statistics.frames == len(seen.frames)
    assert ring.statistics.copies == 0


def test_addresses_are_the_clients_own_before_masquerading(world: Any) -> None:
    with ring_on(world) as ring:
        send(world, "c1", [b"q" * 400], (INTERNET, 53))
        seen = drained(ring)
    (row,) = seen.to(17, 53)
    assert socket.inet_ntoa(row["frame"][26:30]) == "10.77.0.11"
    assert row["copied"]
    assert row["frame"][42:] == b"q" * 400


def test_the_vlan_of_a_frame_is_known(world: Any) -> None:
    datagram = struct.pack(">BBHHHBBH", 0x45, 0, 228, 1, 0, 64, 17, 0x6561) + bytes([10, 78, 0, 11, 10, 78, 0, 1])
    datagram += struct.pack(">HHHH", 53, 7020, 208, 0) + bytes(200)
    router, client = b"\x02\0\0\0\0\x01", b"\x02\0\0\0\xc0\x01"
    with ring_on(world) as ring:
        with world.inside("c1"), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind(("e0", 0))
            raw.send(router + client + bytes.fromhex("8100e014 0800") + datagram)
            raw.send(router + client + bytes.fromhex("8100e000 0800") + datagram)
            raw.send(router + client + bytes.fromhex("0800") + datagram)
            raw.send(router + client + bytes.fromhex("88a80015 81000014 0800") + datagram)
        seen = drained(ring)
    assert seen.udp(port=7020, column="vlan") == [20, 0, 0], "20, priority only, none"
    assert seen.udp(port=7020, column="length") == [242, 242, 242]
    assert all(row["frame"][14:] == datagram for row in seen.rows if row["length"] == 242)
    (stacked,) = [row for row in seen.rows if row["length"] == 246]
    assert (stacked["vlan"], stacked["frame"][12:18].hex()) == (21, "810000140800"), "only the outer tag is taken out"
    assert stacked["frame"][18:] == datagram, "and the DNS behind the inner one is in full"


def test_super_frames_carry_their_segment_size(world: Any) -> None:
    sent = 3_000_000
    with tcp_server(world, 7100) as read, ring_on(world) as ring:
        seen = Seen()
        with world.socket("c1", socket.SOCK_STREAM) as client:
            client.connect((INTERNET, 7100))
            for _ in range(sent // 100_000):
                client.sendall(bytes(100_000))
                drained(ring, seen, quiet=0.002)
        drained(ring, seen)
    rows = seen.to(6, 7100)
    assert read == [sent]
    assert ring.statistics.dropped == 0
    assert max(row["length"] for row in rows) > 10_000
    assert {row["gso"] for row in rows if row["length"] > 1514} == {1448}
    assert all(row["gso"] == 0 for row in rows if row["length"] <= 1514)
    # What is sent twice on a busy machine counts once here.
    payload = {row["frame"][38:42]: row["length"] - 34 - (row["frame"][46] >> 4) * 4 for row in rows}
    assert sum(payload.values()) == sent


def test_bridged_frames_take_promiscuous_mode(world: Any) -> None:
    with ring_on(world) as ring:
        send(world, "c1", [b"first"], ("10.77.0.12", 7200))  # learns the neighbour
        drained(ring)
        send(world, "c1", [b"x"] * 50, ("10.77.0.12", 7200))
        assert drained(ring).udp(port=7200) == []
        ring.set_promiscuous(True)
        send(world, "c1", [b"x"] * 50, ("10.77.0.12", 7200))
        assert drained(ring).udp(port=7200) == [OTHER_HOST] * 50
        ring.set_promiscuous(False)
        send(world, "c1", [b"x"] * 50, ("10.77.0.12", 7200))
        assert drained(ring).udp(port=7200) == []


def test_drops_are_counted(world: Any) -> None:
    with ring_on(world, size=1) as ring:
        assert ring.slots == BLOCK // 256
        send(world, "c1", [b"x"] * 3000, ("10.77.0.1", 7300))
        seen = drained(ring)
    assert len(seen.frames) == 1024
    assert ring.statistics.frames == 1024 + ring.statistics.dropped
    assert ring.statistics.dropped >= 3000 - 1024


def test_batches_go_round_the_ring_and_never_read_past_it(world: Any) -> None:
    with ring_on(world, size=1) as ring:
        seen = Seen()
        for first in range(0, 3000, 300):
            send(world, "c1", [struct.pack(">I", first + each) for each in range(300)], ("10.77.0.1", 7301))
            while batch := ring.poll():
                assert batch.stride == 256
                assert (np.diff(batch.offset) == 256).all()
                assert int(batch.offset[-1]) + PADDING <= len(batch.buffer)
                seen.add(batch)
    numbers = [struct.unpack(">I", row["frame"][42:46])[0] for row in seen.to(17, 7301)]
    assert numbers == list(range(3000))
    assert ring.statistics.dropped == 0


def test_a_hello_over_two_segments_comes_in_full(world: Any) -> None:
    hello = HELLO + bytes(range(256)) * 8
    with tcp_server(world, 8443), ring_on(world) as ring:
        with world.socket("c1", socket.SOCK_STREAM) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.connect((INTERNET, 8443))
            client.sendall(hello[:1400])
            time.sleep(0.05)
            client.sendall(hello[1400:])
        rows = drained(ring).to(6, 8443)
    payloads = [row["frame"][34 + (row["frame"][46] >> 4) * 4 :] for row in rows]
    assert b"".join(payloads) == hello


def test_copies_stay_with_their_frames_when_their_queue_overflows(world: Any) -> None:
    count = 3000
    with ring_on(world) as ring:
        ring.appetite.budget = 10 * count
        payloads = [struct.pack(">I", each) * 350 for each in range(count)]
        send(world, "c1", payloads, ("10.77.0.1", 53))
        rows = drained(ring).to(17, 53)
        send(world, "c1", payloads[:5], ("10.77.0.1", 53))
        after = drained(ring).to(17, 53)
    assert [struct.unpack(">I", row["frame"][42:46])[0] for row in rows] == list(range(count))
    for number, row in enumerate(rows):
        if row["copied"]:
            assert row["frame"][42:] == payloads[number]
    assert ring.statistics.copies_skipped > 0
    assert ring.statistics.copies + ring.statistics.copies_skipped == count + 5
    assert [row["frame"][42:] for row in after] == payloads[:5], "the queue is in step again"


def test_too_many_copies_install_the_narrow_filter(world: Any) -> None:
    middle = b"\x99" * 600
    with tcp_server(world, 7400), ring_on(world) as ring:
        ring.appetite.budget = 3
        with world.socket("c1", socket.SOCK_STREAM) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.connect((INTERNET, 7400))
            copied = []
            for _ in range(8):
                client.sendall(middle)
                copied += [row["copied"] for row in drained(ring, quiet=0.03).to(6, 7400) if row["length"] > 600]
    assert copied == [True] * 4 + [False] * 4
    assert ring.statistics.narrowed == 1


def test_frames_of_an_ip_tunnel_start_with_ip(world: Any) -> None:
    with world.inside("ap"), open("/dev/net/tun", "r+b", buffering=0) as tun:
        fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH", b"tun7", 0x1001))  # TUNSETIFF: IFF_TUN | IFF_NO_PI
        world.ip("ap", "link set tun7 up")
        with ring_on(world, "tun7", link=LINKTYPE_RAW) as ring:
            packet = struct.pack(">BBHHHBBH", 0x45, 0, 428, 1, 0, 64, 17, 0) + bytes([9, 9, 9, 9, 8, 8, 8, 8])
            packet += struct.pack(">HHHH", 53, 5000, 408, 0) + b"\x07" * 400
            tun.write(packet)
            seen = drained(ring)
    assert seen.frames == [packet]
    assert ring.statistics.misaligned == 0


def test_a_loopback_shows_every_frame_once(world: Any) -> None:
    with ring_on(world, "lo", where="c1", loopback=True) as ring:
        send(world, "c1", [b"x"] * 7, ("127.0.0.1", 53))
        assert drained(ring).udp(port=53, column="length").count(43) == 7


def test_frames_with_a_longer_link_header_are_moved_into_place(world: Any) -> None:
    tagged = bytes(6) + b"\x02\0\0\0\0\x01" + bytes.fromhex("88a80014 81000015 0800") + b"\x45" + b"\x33" * 300
    with ring_on(world) as ring:
        with world.inside("ap"), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind(("br0", 0))
            raw.send(tagged)
        with world.socket("ap") as plain:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            plain.sendto(b"x", ("10.77.0.255", 7500))
        seen = drained(ring)
    assert ring.statistics.misaligned == 1
    (frame,) = [frame for frame in seen.frames if b"\x33" * 100 in frame]
    assert tagged.startswith(frame)
    assert len(frame) == 173


def test_the_interface_goes_and_held_batches_stay_readable(world: Any, eventually: Callable[..., None]) -> None:
    world.ip("c1", "link add d0 type veth peer name d1")
    world.ip("c1", "addr add 10.79.0.1/24 dev d0")
    world.ip("c1", "link set d0 up")
    world.ip("c1", "link set d1 up")
    with ring_on(world, "d0", where="c1") as ring:
        send(world, "c1", [b"before"], ("10.79.0.9", 1))
        world.ip("c1", "link del d0")
        held = []

        def gone() -> bool:
            try:
                batch = ring.poll()
            except InterfaceGone:
                return True
            held.extend([batch] if batch else [])
            return False

        eventually(gone)
        ring.close()
        ring.close()
        assert held, "what came before is still delivered"
        assert int(held[0].buffer.sum()) == 0, "given back, but no crash"


@pytest.mark.parametrize("state", ["absent", "down"])
def test_no_ring_without_an_interface(world: Any, state: str) -> None:
    if state == "down":
        world.ip("c1", "link add down0 type bridge")
    with world.inside("c1"):
        ring = Ring("down0" if state == "down" else "nothing0")
        with pytest.raises(InterfaceGone):
            ring.open()
        ring.close()
    if state == "down":
        world.ip("c1", "link del down0")


def test_without_the_capability_it_says_what_is_missing(world: Any) -> None:
    with world.inside("c1"):
        os.seteuid(65534)
        try:
            with pytest.raises(CaptureError, match=r"CAP_NET_RAW.*sudo.*AmbientCapabilities"):
                Ring("lo").open()
        finally:
            os.seteuid(0)
