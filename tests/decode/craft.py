"""Frames made by hand, and what the header decoder makes of them."""

from struct import pack

from sensor.decode.headers import DecodeStats, HeaderDecoder
from sensor.model.packets import Packets
from tests.decode.batches import batch_of

PHONE, ROUTER = bytes.fromhex("6038e0c535a0"), bytes.fromhex("020000000001")
HOME, FAR = bytes([192, 168, 2, 100]), bytes([42, 62, 48, 10])
HOME_SIX, FAR_SIX = bytes.fromhex("20010db8" + "00" * 11 + "64"), bytes.fromhex("24003200" + "00" * 11 + "01")
HELLO = bytes.fromhex("160301020001000001fc0303")


def ethernet(kind: int, payload: bytes, tags: bytes = b"") -> bytes:
    return ROUTER + PHONE + tags + pack(">H", kind) + payload


def ipv4(payload: bytes, protocol: int = 6, *, total: int | None = None, ihl: int = 5, offset: int = 0x4000) -> bytes:
    options = bytes([1]) * (ihl * 4 - 20)
    total = 20 + len(options) + len(payload) if total is None else total
    return pack(">BBHHHBBH", 0x40 | ihl, 0, total, 7, offset, 64, protocol, 0) + HOME + FAR + options + payload


def ipv6(payload: bytes, follows: int = 6, *, length: int | None = None) -> bytes:
    length = len(payload) if length is None else length
    return pack(">IHBB", 6 << 28, length, follows, 64) + HOME_SIX + FAR_SIX + payload


def tcp(payload: bytes = b"", *, port: int = 443, offset: int = 5, flags: int = 0x18) -> bytes:
    return pack(">HHIIBBHHH", 50000, port, 0x01020304, 9, offset << 4, flags, 1000, 0, 0) + payload


def udp(payload: bytes = b"", *, port: int = 9999) -> bytes:
    return pack(">HHHH", 50000, port, 8 + len(payload), 0) + payload


def decode(*frames: bytes, link: int = 1, **more: object) -> tuple[Packets, DecodeStats]:
    decoder = HeaderDecoder()
    packets = decoder.decode(batch_of(frames, link, **more))  # type: ignore[arg-type]
    stats = decoder.stats
    assert stats.frames == len(frames) == len(packets) + stats.non_ip + stats.undecodable
    assert stats.packets == len(packets)
    assert (packets.payload_length >= 0).all()
    return packets, stats
