"""Which bytes of which frames the kernel hands over: headers of all, the whole of those that may carry a message."""

from dataclasses import dataclass
from functools import cache

from sensor.capture.bpf import assemble

FULL = 0xFFFF
"""Snap length of a frame that may carry a message: it does not fit its slot, so the kernel queues it in full."""

CONTINUATION = 4500
"""Longest frame taken for the rest of a ClientHello: larger ones are offloaded uploads."""

NARROW_CONTINUATION = 1600
"""The same in the narrow program."""

TUNNELLED = 600
"""Longest tunnel frame (IPIP, GRE, VXLAN, ...) handed over in full for the DNS it may wrap."""

MESSAGE_PORTS = (53,)
"""UDP and TCP ports whose payload is read, on either side."""

TUNNEL_PROTOCOLS = (4, 41, 47)
"""IPv4 in IP, IPv6 in IP, GRE."""

TUNNEL_PORTS = (2152, 3544, 4789, 6081, 8472)
"""UDP: GTP-U, Teredo, VXLAN, Geneve, VXLAN as Linux once had it."""

_EXTENSIONS = (0, 43, 60)
"""IPv6: hop-by-hop, routing, destination options (RFC 8200 section 4): a length in units of 8 bytes."""

_EXTENSION_LEVELS = 3
"""Classic BPF cannot loop: so many extension headers are followed."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How frames lie in the slots of the ring."""

    room: int
    """Bytes of a frame that a slot holds. A dull frame gets one less, so that it never looks cut by its slot; that
    holds all headers, and handing over 110 instead was not measurably cheaper."""
    raw: bool = False
    """Frames start with the IP header (LINKTYPE_RAW)."""
    loopback: bool = False
    """Every frame passes twice, out and in: only the way in is wanted."""


@cache
def program(layout: Layout, *, narrow: bool = False) -> bytes:
    """The socket filter. It never returns 0 but for a loopback's way out: every frame is counted.

    wide:   any TCP payload that goes to a lower port, does not start as TLS application data and is
            no super-frame may be the rest of a ClientHello that takes several segments.
    narrow: only what pushes to port 443; for times when the wide program hands over too much.

    Loads outside a frame would end the program with 0 and hide the frame. Hence frames that fit a slot
    leave first, and only offsets that can pass `room` are checked: behind extension headers (offset + 80)
    and at the TCP payload (offset + 6); all others end below 14 + 16 + 60 + 20.
    """
    return assemble(text(layout, narrow=narrow))


def text(layout: Layout, *, narrow: bool = False) -> str:
    """The same program to read. X the header in hand, M[1] protocol or port, M[2] source port, M[3] flags."""
    parts = [_start(layout), _raw_start() if layout.raw else _ethernet(), _ipv4(), _ipv6()]
    return "".join([*parts, _udp(narrow=narrow), _tcp(narrow=narrow), _ends(layout)])


@dataclass(slots=True)
class Appetite:
    """Chooses between the wide and the narrow program by what the wide one brings; time is a parameter."""

    budget: int = 1000
    """Copies per second that are worth their CPU; more, and the narrow program is installed."""
    calm: float = 5.0
    """Seconds until the wide one gets another try; doubles with each vain try, halves with each calm second."""
    patience: float = 60.0
    """Most seconds until then."""
    narrow: bool = False
    _since: float = 0.0
    _count: int = 0
    _until: float = 0.0
    _wait: float = 0.0

    def changes(self, copies: int, now: float) -> bool:
        """Take note of copies made; True when `narrow` has just changed. `now` in seconds, any epoch."""
        if self.narrow:
            if now < self._until:
                return False
            self.narrow, self._since, self._count = False, now, 0
            return True
        if now - self._since >= 1.0:
            if self._count <= self.budget:
                self._wait /= 2
            self._since, self._count = now, 0
        self._count += copies
        if self._count <= self.budget:
            return False
        wait = max(self._wait, self.calm)
        self.narrow, self._until, self._wait = True, now + wait, min(wait * 2, self.patience)
        return True


def _start(layout: Layout) -> str:
    once = "ld #type\n jeq #4, nothing\n" if layout.loopback else ""
    return f"""
 {once}
 ld #len
 jgt #{layout.room}, long
 ret #{FULL}
long:
"""


def _raw_start() -> str:
    return """
 ldx #0
 ldb [x + 0]
 and #0xf0
 jeq #0x40, v4
 jeq #0x60, v6, dull
"""


def _ethernet() -> str:
    """Up to two tags that are still in the frame, then PPPoE session or IP."""
    tag = """
 jeq #0x8100, tag{n}
 jeq #0x88a8, tag{n}
 jeq #0x9100, tag{n}, typed
tag{n}:
 txa
 add #4
 tax
 ldh [x + 0]
"""
    return f"""
 ldx #12
 ldh [x + 0]
{tag.format(n=1)}
{tag.format(n=2)}
typed:
 jeq #0x0800, ip
 jeq #0x86dd, ip
 jeq #0x8864, pppoe, dull
pppoe:
 ldh [x + 8]
 st M[1]
 txa
 add #8
 tax
 ld M[1]
 jeq #0x0021, ip
 jeq #0x0057, ip, dull
ip:
 txa
 add #2
 tax
 ldb [x + 0]
 and #0xf0
 jeq #0x40, v4
 jeq #0x60, v6, dull
"""


def _ipv4() -> str:
    """A later fragment has no ports."""
    return """
v4:
 ldh [x + 6]
 jset #0x1fff, dull
 ldb [x + 9]
 st M[1]
 ldb [x + 0]
 and #0x0f
 lsh #2
 add x
 tax
 ja transport
"""


def _ipv6() -> str:
    levels = "".join(_extension(level) for level in range(_EXTENSION_LEVELS))
    return f"""
v6:
 ldb [x + 6]
 st M[1]
 txa
 add #40
 tax
 ld M[1]
{levels}
 ja transport
"""


def _extension(level: int) -> str:
    """X stands on the header of the kind in A and M[1]; leaves both on the next one."""
    kinds = "".join(f" jeq #{kind}, options{level}\n" for kind in _EXTENSIONS)
    return f"""
{kinds}
 jeq #44, fragment{level}
 ja transport
fragment{level}:
 ldh [x + 2]
 jset #0xfff8, dull
 ldb [x + 0]
 st M[1]
 ld #8
 ja next{level}
options{level}:
 ldb [x + 0]
 st M[1]
 ldb [x + 1]
 add #1
 lsh #3
next{level}:
 add x
 tax
 ld #len
 sub #80
 jge x, inside{level}, dull
inside{level}:
 ld M[1]
"""


def _udp(*, narrow: bool) -> str:
    ports = "".join(f" jeq #{port}, full\n" for port in MESSAGE_PORTS)
    tunnels = "".join(f" jeq #{port}, tunnel\n" for port in TUNNEL_PORTS)
    protocols = "".join(f" jeq #{protocol}, tunnel\n" for protocol in TUNNEL_PROTOCOLS)
    small = " ja dull\n" if narrow else f" ld #len\n jgt #{TUNNELLED}, dull, full\n"
    return f"""
transport:
 ld M[1]
 jeq #6, tcp
 jeq #17, udp
{protocols}
 ja dull
udp:
 ldh [x + 0]
{ports}
 ldh [x + 2]
{ports}
{tunnels}
 ja dull
tunnel:
{small}
"""


def _tcp(*, narrow: bool) -> str:
    ports = "".join(f" jeq #{port}, full\n" for port in MESSAGE_PORTS)
    return f"""
tcp:
 ldh [x + 0]
 st M[2]
{ports}
 ldh [x + 2]
 st M[1]
{ports}
 ldb [x + 13]
 st M[3]
 ldb [x + 12]
 and #0xf0
 rsh #2
 add x
 tax
 ld #len
 sub #6
 jge x, payload, dull
payload:
 ldh [x + 0]
 jeq #0x1703, dull
 jeq #0x1603, record, rest
record:
 ldb [x + 5]
 jeq #1, full
rest:
{_narrow_rest() if narrow else _wide_rest()}
"""


def _wide_rest() -> str:
    return f"""
 ld #len
 jgt #{CONTINUATION}, dull
 ldx M[1]
 ld M[2]
 jgt x, full, dull
"""


def _narrow_rest() -> str:
    return f"""
 ld #len
 jge #{NARROW_CONTINUATION}, dull
 ld M[1]
 jeq #443, pushed, dull
pushed:
 ld M[3]
 jset #0x08, full, dull
"""


def _ends(layout: Layout) -> str:
    nothing = "nothing:\n ret #0\n" if layout.loopback else ""
    return f"""
full:
 ret #{FULL}
dull:
 ret #{layout.room - 1}
{nothing}
"""
