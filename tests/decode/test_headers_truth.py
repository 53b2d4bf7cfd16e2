"""The header decoder alone against the shared captures: every packet and byte of every flow (case D20).

And frames of theirs, mutated, against the reference decoder (case D1).
"""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from sensor.base.addresses import address_text, is_global, mac_text
from sensor.capture.files import CaptureFiles
from sensor.decode.headers import HeaderDecoder
from sensor.decode.link import ETHERNET, LINK_BITS
from sensor.model.flow import FlowKey
from tests.decode.test_headers import same_as_reference

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "captures"
CAPTURES = sorted(path.with_suffix("").with_suffix("") for path in FOLDER.glob("*/*.truth.json"))

pytestmark = pytest.mark.skipif(not CAPTURES, reason=f"no captures in {FOLDER}")

NO_LENGTH = "IPv6 payload length 0 (offload or jumbogram): the truth takes the whole frame, link header included"
PADDED = "empty IPv6 packets: the truth takes the whole padded frame, and leaves them out inside FabricPath"
WRONG_TRUTH = {
    "encap/tcpdump__bigtcp-ipv6-geneve-ipv4.pcap": NO_LENGTH,
    "encap/tcpdump__bigtcp-ipv6-geneve-ipv6.pcap": NO_LENGTH,
    "encap/tcpdump__bigtcp-ipv6-hbh.pcap": NO_LENGTH,
    "encap/tcpdump__bigtcp-ipv6.pcap": NO_LENGTH,
    "encap/zeek__cisco-fabric-path.pcap": PADDED,
    "ipfrag/tcpdump__ipv6-too-long-jumbo.pcap": NO_LENGTH,
    "malformed/tcpdump__ipv6_jumbogram_invalid_length.pcap": NO_LENGTH,
    "malformed/zeek__trunc__ipv4-internally-truncated-header.pcap": "cut in the IP options: all that counts is there",
}

Rows = dict[tuple[str, ...], tuple[int, int, int, int]]
"""(client MAC, client, remote), or (initiator, responder) where both are global -> packets and bytes out and back."""


def counted(path: Path) -> Rows:
    """What the decoder makes of a capture, summed as the truth sums it."""
    decoder, rows = HeaderDecoder(), {}
    for batch in CaptureFiles([path]).batches():
        packets = decoder.decode(batch)
        for index in range(len(packets)):
            place = row_of(packets.key(index), rows)
            if place is not None:
                name, back = place
                sums = rows.setdefault(name, [0, 0, 0, 0])
                sums[back] += int(packets.segments[index])
                sums[2 + back] += int(packets.length[index])
    stats = decoder.stats
    assert stats.frames == stats.packets + stats.non_ip + stats.undecodable
    return {name: tuple(sums) for name, sums in rows.items()}


def row_of(key: FlowKey, rows: dict[tuple[str, ...], list[int]]) -> tuple[tuple[str, ...], int] | None:
    """The row a packet belongs to, and 1 where it goes back."""
    source, destination = address_text(key.source), address_text(key.destination)
    near, far = is_global(key.source), is_global(key.destination)
    if near and far:
        back = (destination, source) in rows and source != destination
        return ((destination, source) if back else (source, destination)), int(back)
    if far:
        return (mac_text(key.source_mac or b""), source, destination), 0
    multicast = key.destination[0] == 0xFF if len(key.destination) == 16 else key.destination[0] >> 4 == 0xE
    if near and not multicast:
        return (mac_text(key.destination_mac or b""), destination, source), 1
    return None


def expected(path: Path) -> Rows:
    truth = json.loads(path.with_name(path.name + ".truth.json").read_text())
    rows: Rows = {}
    for row in truth["flows_outer"]:
        numbers = (row["frames_up"], row["frames_down"], row["bytes_ip_up"], row["bytes_ip_down"])
        rows[row["client_mac"], row["client_ip"], row["remote_ip"]] = numbers
    for pair in truth["pairs_global"]:
        if pair["level"] == "outer":
            numbers = (pair["frames_fwd"], pair["frames_rev"], pair["bytes_ip_fwd"], pair["bytes_ip_rev"])
            rows[pair["initiator"], pair["responder"]] = numbers
    return rows


@pytest.mark.parametrize("folder", sorted({path.parent.name for path in CAPTURES}))
def test_every_flow_row_equals_the_truth(folder: str) -> None:
    paths = [path for path in CAPTURES if path.parent.name == folder]
    differing = {f"{folder}/{path.name}" for path in paths if counted(path) != expected(path)}
    assert differing == {name for name in WRONG_TRUTH if name.startswith(f"{folder}/")}


def test_mutated_real_frames_decode_as_the_reference_says() -> None:
    random = np.random.default_rng(11)
    frames, wire = [], []
    for frame, size in real_frames():
        changed = bytearray(frame[: random.integers(14, 200)])
        for at in random.integers(0, min(len(changed), 100), random.integers(0, 4)):
            changed[at] = random.integers(256)
        frames.append(bytes(changed))
        wire.append(max(size, len(changed)))
    same_as_reference(frames, wire)


def real_frames() -> Iterator[tuple[bytes, int]]:
    """A few Ethernet frames of each capture, with their lengths on the wire."""
    for path in CAPTURES:
        for batch in islice(CaptureFiles([path]).batches(), 1):
            if batch.link & LINK_BITS == ETHERNET:
                for row in range(min(len(batch), 12)):
                    if batch.captured[row]:
                        yield batch.frame(row), int(batch.length[row])
