"""What became of the frames: the counters of the header decoder."""

from dataclasses import dataclass


@dataclass(slots=True)
class DecodeStats:
    """Every frame is counted once in `packets`, `non_ip` or `undecodable`; the others tell more about some of them."""

    frames: int = 0
    """Frames handed in."""
    packets: int = 0
    """IP packets handed out (a super-frame is one)."""
    non_ip: int = 0
    """Frames that carry no IP by what they say: ARP, spanning tree, encrypted ..."""
    undecodable: int = 0
    """Frames that should carry IP but are cut or contradict themselves, and those of an unknown link type."""
    unknown_link: int = 0
    """Of `undecodable`: the link type is unknown."""
    cut: int = 0
    """Of `undecodable`: the frame ends inside its link header or the fixed IP header."""
    malformed: int = 0
    """Of `undecodable`: versions, header lengths or total lengths that cannot be."""
    too_deep: int = 0
    """Of `undecodable`: more tags or link layers than `link_odd.MAX_DEPTH`."""
    long_chains: int = 0
    """Of `packets`: more IPv6 extension headers than `network.MAX_EXTENSIONS`; counted without ports."""
    fragments: int = 0
    """Of `packets`: IP fragments, first ones included."""
    beyond_frame: int = 0
    """Of `packets`: the IP length reaches beyond the frame on the wire; it counts by that length."""
    tunnels: int = 0
    """Of `packets`: by protocol or port they wrap other packets; only the outer header is in the columns."""
    super_frames: int = 0
    """Of `packets`: frames that crossed the wire as several packets (GRO, TSO)."""
