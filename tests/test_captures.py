"""The shared captures against their truth: flow rows, TLS server names, DNS answers; prints the score as a table."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import captures

pytestmark = pytest.mark.skipif(not captures.FOLDER.is_dir(), reason=f"{captures.FOLDER} is not there")

SECONDS = 5.0
"""No file may take longer."""

WRONG_ROWS = {
    "phone_app/ndpi__1kxun.pcap": "the truth takes the limited broadcast address 255.255.255.255 for a client",
}
"""Files whose flow rows differ from the truth, and why we hold the truth to be wrong."""

OTHER_ANSWERS = {
    "dns/suricata__dns-over-http2-post__dns_over_https_POST.pcap": "DNS over HTTP/2 inside TLS, opened with its keys",
    "dns/suricata__dns__dns-incomplete__input.pcap": "DNS over TCP port 5353",
    "dns/tcpdump__dns_udp_8053.pcap": "DNS on UDP port 8053",
    "dns/ndpi__custom_rules_ipv6.pcapng": "DNS on UDP port 5333",
    "dns/zeek__dns-inverse-query.pcap": "an inverse query (RFC 3425 abolished it): the name asked for is an address",
}
"""Files with answers that are not on port 53 in the clear, which is what the truth promises."""


@pytest.fixture(scope="module")
def everything() -> dict[str, tuple[dict[str, object], captures.Seen]]:
    """File -> (truth, what the pipeline made of it)."""
    return {name(path): (captures.truth(path), captures.run(path)) for path in captures.paths()}


def name(path: Path) -> str:
    return path.relative_to(captures.FOLDER).as_posix()


def rows(truth: dict[str, object]) -> Iterator[tuple[captures.Row, tuple[int, int, int, int]]]:
    for row in truth.get("flows_outer", []):  # type: ignore[attr-defined]
        key = (row["client_mac"] or None, row["client_ip"], row["remote_ip"])
        yield key, (row["frames_up"], row["bytes_ip_up"], row["frames_down"], row["bytes_ip_down"])


def server_names(truth: dict[str, object]) -> set[str]:
    return {entry["sni"] for entry in truth.get("sni", []) if entry["transport"] == "tls"}  # type: ignore[attr-defined]


def answers(truth: dict[str, object]) -> Iterator[tuple[set[str], str, str]]:
    """(client MAC and address, the address it learned, the name it asked for)."""
    for response in truth.get("dns", []):  # type: ignore[attr-defined]
        for answer in response["answers"]:
            if answer["type"] in ("A", "AAAA"):
                yield {response["client_mac"], response["client_ip"]}, answer["value"], response["qname"].lower()


def test_every_flow_row_equals_the_truth(everything: dict[str, tuple[dict[str, object], captures.Seen]]) -> None:
    differing = {
        file
        for file, (truth, seen) in everything.items()
        for key, counts in rows(truth)
        if seen.rows.get(key) != counts
    }
    assert differing == set(WRONG_ROWS)


def test_between_public_ends_both_directions_are_counted(
    everything: dict[str, tuple[dict[str, object], captures.Seen]],
) -> None:
    """The truth calls the first sender the initiator; here the client may be the other end."""
    differing = Counter[str]()
    for file, (truth, seen) in everything.items():
        moved = Counter[tuple[str, str]]()
        for (_, client, remote), (_, sent, _, received) in seen.rows.items():
            moved[client, remote] += sent
            moved[remote, client] += received
        for pair in truth.get("pairs_global", []):  # type: ignore[attr-defined]
            if pair["level"] == "outer":
                ends = pair["initiator"], pair["responder"]
                wanted = pair["bytes_ip_fwd"], pair["bytes_ip_rev"]
                back = moved[ends[::-1]] if ends[0] != ends[1] else 0
                differing[file] += (moved[ends], back) != wanted
    no_length = {file for file in differing if differing[file]}
    # The truth counts the link header where an IPv6 packet says length 0, and padding as payload.
    assert no_length <= {
        "encap/tcpdump__bigtcp-ipv6-geneve-ipv4.pcap",
        "encap/tcpdump__bigtcp-ipv6-geneve-ipv6.pcap",
        "encap/tcpdump__bigtcp-ipv6-hbh.pcap",
        "encap/tcpdump__bigtcp-ipv6.pcap",
        "encap/zeek__cisco-fabric-path.pcap",
        "ipfrag/tcpdump__ipv6-too-long-jumbo.pcap",
        "malformed/tcpdump__ipv6_jumbogram_invalid_length.pcap",
        "malformed/zeek__trunc__ipv4-internally-truncated-header.pcap",
    }


def test_every_server_name_is_seen(everything: dict[str, tuple[dict[str, object], captures.Seen]]) -> None:
    missing = {(file, one) for file, (truth, seen) in everything.items() for one in server_names(truth) - seen.names}
    assert missing == set()


def test_every_dns_answer_is_learned(everything: dict[str, tuple[dict[str, object], captures.Seen]]) -> None:
    missing = {
        file
        for file, (truth, seen) in everything.items()
        for who, address, asked in answers(truth)
        if not any((one, address, asked) in seen.answers for one in who)
    }
    assert missing == set(OTHER_ANSWERS)


def test_clients_add_up_and_nothing_takes_long(everything: dict[str, tuple[dict[str, object], captures.Seen]]) -> None:
    for file, (_, seen) in everything.items():
        assert seen.counted_bytes == seen.ip_bytes, file
        assert seen.seconds < SECONDS, file


def test_the_score(
    everything: dict[str, tuple[dict[str, object], captures.Seen]], capsys: pytest.CaptureFixture[str]
) -> None:
    table: dict[str, Counter[str]] = {}
    for file, (truth, seen) in everything.items():
        score = table.setdefault(file.split("/")[0], Counter())
        score["files"] += 1
        for key, counts in rows(truth):
            score["rows"] += 1
            score["rows equal"] += seen.rows.get(key) == counts
        score["names"] += len(server_names(truth))
        score["names seen"] += len(server_names(truth) & seen.names)
        for who, address, asked in answers(truth):
            score["answers"] += 1
            score["answers learned"] += any((one, address, asked) in seen.answers for one in who)
    table["all"] = sum(table.values(), Counter())
    columns = ("files", "rows", "rows equal", "names", "names seen", "answers", "answers learned")
    with capsys.disabled():
        print(f"\n{'':12}" + "".join(f"{column:>17}" for column in columns))
        for folder, score in table.items():
            print(f"{folder:12}" + "".join(f"{score[column]:>17,}" for column in columns))
    assert table["all"]["files"] == len(everything) > 600
