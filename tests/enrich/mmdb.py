"""Small MaxMind DB files, written as the format's specification says (maxmind.github.io/MaxMind-DB)."""

import ipaddress
from collections.abc import Mapping


def database(networks: Mapping[str, object], kind: str, built_at: int, version: int = 6) -> bytes:
    """The file's content; `networks`: network -> record, none inside another; `built_at`: seconds since 1970."""
    tree: list[list[object]] = [[None, None]]
    data = b""
    for text, record in networks.items():
        network = ipaddress.ip_network(text)
        bits = f"{int(network.network_address):0{network.max_prefixlen}b}"[: network.prefixlen]
        if network.version == 4 and version == 6:
            bits = "0" * 96 + bits
        _insert(tree, [int(bit) for bit in bits], len(data))
        data += _encode(record)
    count = len(tree)
    nodes = b"".join(_pointer(child, count).to_bytes(4, "big") for node in tree for child in node)
    facts = {
        "binary_format_major_version": 2, "binary_format_minor_version": 0, "build_epoch": built_at,
        "database_type": kind, "description": {"en": kind}, "ip_version": version, "languages": ["en"],
        "node_count": count, "record_size": 32,
    }  # fmt: skip
    return nodes + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + _encode(facts)


def _insert(tree: list[list[object]], bits: list[int], offset: int) -> None:
    node = 0
    for bit in bits[:-1]:
        child = tree[node][bit]
        if not isinstance(child, int):
            tree.append([None, None])
            child = tree[node][bit] = len(tree) - 1
        node = child
    tree[node][bits[-1]] = (offset,)


def _pointer(child: object, count: int) -> int:
    if isinstance(child, tuple):
        return count + 16 + int(child[0])
    return child if isinstance(child, int) else count


_KINDS = {"build_epoch": 9, "node_count": 6, "autonomous_system_number": 6}
"""Data type of an integer by its key: uint64, uint32; all others are uint16 (5)."""


def _encode(value: object, key: object = None) -> bytes:
    if isinstance(value, str):
        raw = value.encode()
        return _control(2, len(raw)) + raw
    if isinstance(value, Mapping):
        return _control(7, len(value)) + b"".join(_encode(key) + _encode(part, key) for key, part in value.items())
    if isinstance(value, list):
        return _control(11, len(value)) + b"".join(map(_encode, value))
    assert isinstance(value, int)
    raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return _control(_KINDS.get(str(key), 5), len(raw)) + raw


def _control(kind: int, size: int) -> bytes:
    first = min(size, 29)
    rest = bytes([size - 29]) if size >= 29 else b""
    return (bytes([kind << 5 | first]) if kind < 8 else bytes([first, kind - 7])) + rest
