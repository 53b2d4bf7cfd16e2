"""Ports, TCP fields and payloads of a whole batch at once; and which packets deserve a closer look."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensor.decode.gather import gather, pick, word
from sensor.decode.link import IP_HEAD, Located
from sensor.decode.network import Networks
from sensor.decode.tunnel import PROTOCOLS as TUNNEL_PROTOCOLS
from sensor.model.packets import TCP, UDP

PORT_PROTOCOLS = (TCP, UDP, 33, 132, 136)
"""TCP, UDP, DCCP, SCTP and UDP-Lite start with two ports."""

TUNNEL_PORTS = (1701, 2152, 3544, 4341, 4754, 4789, 4790, 6081, 6635, 8472)
"""UDP ports whose packets `tunnel.unwrap` can open."""

DNS_PORT = 53

REFUSE_IMPOSSIBLE_TCP = True
"""Whether a TCP header length below 20 or beyond the packet's end makes a packet undecodable."""

_PORTS, _TUNNEL, _ICMPV6 = 1, 2, 4
_PROTOCOL = np.zeros(256, np.uint8)
_PROTOCOL[list(PORT_PROTOCOLS)] = _PORTS
_PROTOCOL[list(TUNNEL_PROTOCOLS)] = _TUNNEL
_PROTOCOL[58] = _ICMPV6
_LEAST_TCP = np.uint8(20)

DHCP_SERVER_PORT = 67
ROUTER_SOLICITATION = 133
"""ICMPv6 type (RFC 4861 section 4.1)."""

_DNS, _DHCP = 1, 4
_PORT = np.zeros(65536, np.uint8)
"""Port, as a little-endian load sees it -> what it may carry."""
_PORT[np.array(TUNNEL_PORTS, np.uint16).byteswap()] = _TUNNEL
_PORT[np.array(DNS_PORT, np.uint16).byteswap()] = _DNS
_PORT[np.array(DHCP_SERVER_PORT, np.uint16).byteswap()] = _DHCP

_HELLO, _HELLO_BITS = np.uint64(0x0100_0000_0316), np.uint64(0xFF00_00F8_FFFF)
"""First six bytes of TCP payload: a TLS record of handshake messages, version 3.0 to 3.7, and in it a ClientHello."""
_HEAD = 16
_HANDSHAKE = 0x16
HELLO_BYTES = 6
_FIRST_BYTES = np.array([(1 << 8 * known) - 1 for known in range(HELLO_BYTES + 1)], np.uint64)


@dataclass(slots=True)
class Transports:
    """What the headers behind IP say; rows as in `Located`, columns as in `Packets`."""

    header: NDArray[np.int64]
    """[n] bytes of the TCP or UDP header; 0 where there is none or its length is not known. The payload follows."""
    flags: NDArray[np.uint8]
    sequence: NDArray[np.uint32]
    payload_length: NDArray[np.int64]
    payload: NDArray[np.int64]
    """[n] where the payload starts in the buffer, if there is one."""
    message: NDArray[np.bool_]
    refused: NDArray[np.int64]
    """Rows that are undecodable."""
    tunnels: int = 0


def read_transports(buffer: NDArray[np.uint8], where: Located, network: Networks) -> Transports:
    """Reads TCP and UDP headers, adds the ports to words 0 and 1 of `where.words`."""
    at = network.start - where.start
    known = np.minimum(where.room - at, network.size)
    head = _heads(buffer, where, at)
    tcp, udp = network.protocol == TCP, network.protocol == UDP
    other = ~(tcp | udp)
    is_tcp, is_udp = tcp.view(np.uint8), udp.view(np.uint8)
    flags = head[:, 13] * is_tcp
    short_header = (head[:, 12] >> 2 & 0x3C) * is_tcp
    odd = short_header < is_tcp * _LEAST_TCP
    short_header += is_udp << 3
    header = short_header.astype(np.int64)
    payload_length = network.size - header
    sequence = head[:, 4:8].view(">u4")[:, 0].astype(np.uint32)
    message = np.zeros(len(known), np.bool_)
    found = Transports(header, flags, sequence, payload_length, header, message, np.empty(0, np.int64))
    ported = known >= 4
    rows = np.flatnonzero(other)
    kinds = _PROTOCOL[network.protocol[rows]]
    ported[rows] &= kinds == _PORTS
    message[rows] = kinds == _TUNNEL
    carries = _add_ports(head, ported, where.words)
    odd |= header > known
    odd |= other
    if odd.any():
        _read_odd(np.flatnonzero(odd), known, network, found)
    found.payload = network.start + header
    for some in network.beyond:
        in_frame = where.start[some] + where.wire[some] - network.start[some] - header[some]
        payload_length[some] = np.minimum(payload_length[some], np.maximum(in_frame, 0))
    _mark_ports(carries, network, found)
    rows = rows[(kinds == _ICMPV6) & (head[rows, 0] == ROUTER_SOLICITATION) & (known[rows] >= 1)]
    found.message[rows] = True
    _mark_hellos(buffer, tcp & (payload_length > 0), where, known, found)
    return found


def _heads(buffer: NDArray[np.uint8], where: Located, at: NDArray[np.int64]) -> NDArray[np.uint8]:
    """[n, _HEAD] what follows IP, which ends `at` bytes behind its start."""
    head = pick(where.head, np.arange(len(at)), np.minimum(at, IP_HEAD - _HEAD), _HEAD)
    if int(at.max(initial=0)) > IP_HEAD - _HEAD:
        rows = np.flatnonzero(at > IP_HEAD - _HEAD)
        head[rows] = gather(buffer, where.start[rows] + at[rows], _HEAD)
    return head


def _add_ports(head: NDArray[np.uint8], valid: NDArray[np.bool_], words: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Completes words 0 and 1; returns what each packet may carry by its ports."""
    ports = head[:, :4].view("<u4")[:, 0].astype(np.uint64)
    if not valid.all():
        ports *= valid
    words[0] |= ports << 48
    far = ports >> 16
    words[1] |= far << 48
    ports &= 0xFFFF
    carries: NDArray[np.uint8] = _PORT.take(ports.view(np.int64))
    # Answers come from port 53; questions to it are not read. What DHCP servers say is not read either.
    carries &= _DNS | _TUNNEL
    carries |= _PORT.take(far.view(np.int64)) & (_TUNNEL | _DHCP)
    return carries


def _read_odd(rows: NDArray[np.int64], known: NDArray[np.int64], network: Networks, found: Transports) -> None:
    """Other protocols, headers that the capture or a fragment cut, and header lengths that lie."""
    tcp, udp = network.protocol[rows] == TCP, network.protocol[rows] == UDP
    bytes_known, size, header = known[rows], network.size[rows], found.header[rows]
    fragment = np.zeros(len(known), np.bool_)
    for some in network.fragments:
        fragment[some] = True
    stated = tcp & (bytes_known >= 13)
    lies = stated & ((header < 20) | (header > size) & ~fragment[rows])
    whole = (stated | udp) & ~lies & (header <= size)
    found.header[rows] = np.where(whole, header, 0)
    found.payload_length[rows] = np.where(whole, size - header, np.where(found.message[rows], size, 0))
    found.flags[rows] *= tcp & (bytes_known >= 14)
    if REFUSE_IMPOSSIBLE_TCP:
        found.refused = rows[lies]


def _mark_ports(carries: NDArray[np.uint8], network: Networks, found: Transports) -> None:
    """DNS by its port, tunnels by port or protocol (those are marked already)."""
    rows = np.flatnonzero(carries != 0)
    ports = carries[rows]
    udp = network.protocol[rows] == UDP
    found.message[rows] = (ports & _TUNNEL != 0) & udp
    if found.message.any():
        found.message &= found.payload_length > 0
        found.tunnels = int(np.count_nonzero(found.message))
    dns = (ports & _DNS != 0) & (udp | (network.protocol[rows] == TCP))
    found.message[rows[dns & (found.payload_length[rows] > 0)]] = True
    found.message[rows[(ports & _DHCP != 0) & udp]] = True


def _mark_hellos(
    buffer: NDArray[np.uint8],
    payloads: NDArray[np.bool_],
    where: Located,
    known: NDArray[np.int64],
    found: Transports,
) -> None:
    """Marks TCP payloads that start like a ClientHello, as far as they go (it may come byte by byte)."""
    at = found.payload - where.start
    first_byte = pick(where.head, np.arange(len(at)), np.minimum(at, IP_HEAD - 1), 1)[:, 0]
    rows = np.flatnonzero(((first_byte == _HANDSHAKE) | (at >= IP_HEAD)) & payloads)
    if not len(rows):
        return
    readable = known[rows] - found.header[rows]
    first = word(gather(buffer, found.payload[rows], 8), 0) ^ _HELLO
    first &= _HELLO_BITS
    first &= _FIRST_BYTES[np.clip(readable, 0, HELLO_BYTES)]
    found.message[rows[(first == 0) & (readable > 0)]] = True
