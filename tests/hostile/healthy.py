"""The client that does nothing unusual, while beside it an attack goes on: what is said of it must not change."""

from tests.hostile.craft import ROUTER, SECOND, START, Traffic, answer, ethernet, hello, ip, some, tcp, udp

PHONE = bytes.fromhex("6038e0c535a0")
PHONE_ID = "60:38:e0:c5:35:a0"
HOME, BOX = bytes([192, 168, 2, 100]), bytes([192, 168, 2, 1])
HOME_SIX = bytes.fromhex("fd00" + "00" * 13 + "64")
CLOUD, WATCHED = bytes([18, 193, 233, 122]), bytes([42, 62, 48, 10])
CLOUD_SIX = bytes.fromhex("2a001450" + "00" * 11 + "65")
NAME = "api.healthy.example"

WATCH = {"watch": [{"name": "lab", "cidrs": ["42.62.48.0/24"]}]}
"""Configuration: the phone itself gives cause for one alert."""


def phone(seconds: int, start: int = START) -> Traffic:
    """It resolves, shakes hands, and sends and receives ten times a second."""
    frames, times = [], []
    greeting = hello(NAME.encode(), padding=1700)

    def put(at: float, frame: bytes) -> None:
        frames.append(frame)
        times.append(start + int(at * SECOND))

    def out(at: float, destination: bytes, protocol: int, payload: bytes) -> None:
        source = HOME if len(destination) == 4 else HOME_SIX
        put(at, ethernet(PHONE, ROUTER, ip(source, destination, protocol, payload)))

    def back(at: float, source: bytes, protocol: int, payload: bytes) -> None:
        destination = HOME if len(source) == 4 else HOME_SIX
        put(at, ethernet(ROUTER, PHONE, ip(source, destination, protocol, payload)))

    back(0.01, BOX, 17, udp(53, 40_000, answer(NAME, CLOUD, CLOUD_SIX)))
    out(0.02, CLOUD, 6, tcp(50_000, 443, seq=999, flags=0x02))
    back(0.03, CLOUD, 6, tcp(443, 50_000, flags=0x12))
    out(0.04, CLOUD, 6, tcp(50_000, 443, greeting[:1400], seq=1000))
    out(0.15, CLOUD, 6, tcp(50_000, 443, greeting[1400:], seq=2400))
    for tenth in range(3, 10 * seconds):
        at = tenth / 10
        out(at, CLOUD, 6, tcp(50_000, 443, bytes(tenth % 700), seq=9000 + tenth))
        back(at + 0.01, CLOUD, 6, tcp(443, 50_000, bytes(900), seq=5))
        out(at + 0.02, CLOUD_SIX, 17, udp(50_001, 443, bytes(100)))
        back(at + 0.03, CLOUD_SIX, 17, udp(443, 50_001, bytes(200)))
    for second in range(1, seconds, 3):
        out(second + 0.5, WATCHED, 6, tcp(50_002, 443, bytes(300), seq=77))
        back(second + 0.55, WATCHED, 6, tcp(443, 50_002, b"", seq=78, flags=0x10))
    order = sorted(range(len(times)), key=times.__getitem__)
    return some([frames[at] for at in order], [times[at] for at in order])
