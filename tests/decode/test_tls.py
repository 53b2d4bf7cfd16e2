"""Server names out of ClientHellos made by a real TLS stack, and out of broken ones."""

import ssl
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.decode.tls import MAX_RECORDS, NeedMore, decode_hello, may_be_hello
from sensor.model.message import TlsHello


def real_hello(name: str | None = "api.io.mi.com") -> bytes:
    """What OpenSSL sends."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    sent = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name).do_handshake()
    return sent.read()


def extension(kind: int, data: bytes) -> bytes:
    return struct.pack("!HH", kind, len(data)) + data


def server_name(name: bytes, kind: int = 0) -> bytes:
    entry = bytes([kind]) + struct.pack("!H", len(name)) + name
    return extension(0, struct.pack("!H", len(entry)) + entry)


def handshake(*extensions: bytes) -> bytes:
    body = b"\3\3" + bytes(32) + b"\0" + b"\0\2\x13\1" + b"\1\0"
    joined = b"".join(extensions)
    body += struct.pack("!H", len(joined)) + joined
    return b"\1" + len(body).to_bytes(3, "big") + body


def records(message: bytes, size: int = 16_384) -> bytes:
    parts = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\3\1" + struct.pack("!H", len(part)) + part for part in parts)


def hello(*extensions: bytes) -> bytes:
    return records(handshake(*extensions))


def test_the_hello_of_a_real_client() -> None:
    assert decode_hello(real_hello()) == TlsHello("api.io.mi.com", ech=False)


def test_a_hello_without_a_name() -> None:
    assert decode_hello(real_hello(None)) == TlsHello(None, ech=False)
    old = b"\1\0\0\x29\3\1" + bytes(32) + b"\0\0\2\0\x2f\1\0"
    assert decode_hello(records(old)) == TlsHello(None, ech=False)


def test_an_encrypted_hello_is_told() -> None:
    found = decode_hello(hello(extension(0xFE0D, bytes(200)), server_name(b"cloudflare-ech.com")))
    assert found == TlsHello("cloudflare-ech.com", ech=True)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100, 511])
def test_a_hello_over_several_records(size: int) -> None:
    message = handshake(server_name(b"a.example"))
    assert decode_hello(records(message, size)) == TlsHello("a.example", ech=False)


def test_bytes_behind_the_hello_do_not_matter() -> None:
    assert decode_hello(real_hello() + b"\x17\3\3\0\5early") == decode_hello(real_hello())


def test_a_hello_in_too_many_records_is_given_up() -> None:
    message = handshake(server_name(b"a.example"), extension(21, bytes(2 * MAX_RECORDS)))
    assert decode_hello(records(message, 1)) is None


@pytest.mark.parametrize("size", [16_384, 100, 7])
def test_a_beginning_asks_for_more_and_never_for_too_much(size: int) -> None:
    whole = records(handshake(server_name(b"a.example")), size)
    for known in range(1, len(whole)):
        found = decode_hello(whole[:known])
        assert isinstance(found, NeedMore)
        assert known < found.size <= len(whole)


def test_a_cut_hello_still_names_its_server_once_the_name_is_there() -> None:
    whole = hello(server_name(b"a.example"), extension(21, bytes(100)))
    there = whole.index(b"a.example") + len(b"a.example")
    assert decode_hello(whole[:there], cut=True) == TlsHello("a.example", ech=False)
    assert decode_hello(whole[: there - 1], cut=True) is None


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"a.example.", "a.example."),
        (b"XiaoMi.com", "XiaoMi.com"),
        (b"bank.example\0.evil.example", "bank.example\\x00.evil.example"),
        (b"b\xc3\xbccher.example\n", "b\\xc3\\xbccher.example\\x0a"),
        (b"a\\x00", "a\\\\x00"),
        (b"192.0.2.1", "192.0.2.1"),
        (b"xn--" + b"9" * 240, "xn--" + "9" * 240),
        (b"a" * 255, "a" * 255),
        (b"\xff" * 244 + b".xiaomi.com", "\\xff" * 244 + ".xiaomi.com"),
        (b"a" * 256, None),
        (b"", None),
    ],
)
def test_odd_names_are_escaped(raw: bytes, shown: str | None) -> None:
    assert decode_hello(hello(server_name(raw))) == TlsHello(shown, ech=False)


def test_only_host_names_count() -> None:
    assert decode_hello(hello(server_name(b"a.example", kind=1))) == TlsHello(None, ech=False)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x17\3\3\0\5hello",
        b"\x16\3\1\0\5\2abcd",
        b"\x16\2\1\0\5\1abcd",
        b"\x16\3\1\0\0\1abcd",
        b"\x16\3\1\xff\xff\1abcd",
        records(handshake(), 20)[:25] + b"\x17\3\1\0\5abcde" * 10,
    ],
)
def test_what_is_no_hello(data: bytes) -> None:
    assert decode_hello(data) is None


def test_lengths_that_lie_stay_inside_the_hello() -> None:
    beyond = hello(struct.pack("!HH", 0, 40_000) + b"\0\5\0\0\2ab")
    assert decode_hello(beyond + b"c.example") == TlsHello("ab", ech=False)
    entry = b"\0\x20\0\0\x20ab"
    assert decode_hello(hello(extension(0, entry)) + b"c.example" * 9) == TlsHello(None, ech=False)


@given(st.binary(max_size=2000), st.booleans())
def test_any_bytes(data: bytes, cut: bool) -> None:
    found = decode_hello(data, cut)
    assert found is None or may_be_hello(data)


@given(st.binary(max_size=2000), st.booleans())
def test_any_bytes_behind_the_signature(data: bytes, cut: bool) -> None:
    decode_hello(b"\x16\3\1\1\0\1\0" + data, cut)


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), max_size=8), st.integers(1, 600))
def test_damaged_hellos(damage: list[tuple[int, int]], size: int) -> None:
    broken = bytearray(records(handshake(server_name(b"a.example"), extension(16, b"\0\3\2h2"), bytes(400)), size))
    for place, byte in damage:
        broken[place % len(broken)] = byte
    for cut in (False, True):
        found = decode_hello(bytes(broken), cut)
        if isinstance(found, TlsHello):
            name = found.server_name or ""
            assert name.isascii()
            assert name.isprintable()
