"""Flow keys out of their words."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sensor.model.flow import FlowKey, unpack

macs = st.none() | st.binary(min_size=6, max_size=6)
ports = st.integers(0, 65_535)
sizes = st.sampled_from([4, 16])


@st.composite
def keys(draw: st.DrawFn) -> FlowKey:
    size = draw(sizes)
    source, destination = (draw(st.binary(min_size=size, max_size=size)) for _ in range(2))
    return FlowKey(
        draw(macs),
        draw(macs),
        source,
        destination,
        draw(st.integers(0, 255)),
        draw(ports),
        draw(ports),
        draw(st.integers(0, 65_535)),
        draw(st.integers(0, 5)),
    )


def pack(flows: list[FlowKey]) -> tuple[np.ndarray, np.ndarray]:
    """As the wire has it, loaded little-endian; tails of IPv4 flows are 0."""
    words, tails = b"", b""
    for key in flows:
        six = len(key.source) == 16
        for mac, port in ((key.source_mac, key.source_port), (key.destination_mac, key.destination_port)):
            words += (mac or bytes(6)) + port.to_bytes(2, "big")
        words += key.source[8:] if six else key.source + key.destination
        present = (key.source_mac is not None) | (key.destination_mac is not None) << 1
        words += bytes([key.protocol, 6 if six else 4, key.direction, present]) + key.vlan.to_bytes(4, "little")
        tails += key.source[:8] + key.destination if six else bytes(24)
    return np.frombuffer(words, "<u8").reshape(-1, 4).T, np.frombuffer(tails, "<u8").reshape(-1, 3).T


@given(st.lists(keys(), max_size=6))
def test_what_was_packed_comes_out_again(flows: list[FlowKey]) -> None:
    assert unpack(*pack(flows)) == flows


def test_a_mac_of_zeros_is_not_the_same_as_none() -> None:
    zeros = FlowKey(bytes(6), None, bytes(4), bytes(4), 0, 0, 0, 0, 0)
    assert unpack(*pack([zeros])) == [zeros]


def test_keys_know_their_parts() -> None:
    [key] = unpack(*pack([FlowKey(None, None, bytes(4), bytes(4), 6, 443, 50_000, 7, 5)]))
    assert (key.source_port, key.destination_port, key.vlan, key.direction) == (443, 50_000, 7, 5)
