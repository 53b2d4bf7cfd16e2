"""A scenario as what happens: frames as they pass the sensor, reports as it hears of them. Nothing is kept of both."""

import heapq
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, count
from random import Random

from sensor.base.addresses import mac_text, parse_mac
from sensor.base.times import SECOND
from sensor.errors import ConfigError
from tests.scenarios import wire
from tests.scenarios.form import Client, Family, Phone, Scenario, Traffic, address
from tests.scenarios.wire import Ends, Talk, Timed

HTTPS, PUSH_PORT, QUIC = 443, 5222, 443
PORTS = {"keepalive": PUSH_PORT, "udp": 9999}
AMOUNTS = {
    "beacon": (1_000, 500), "upload": (0, 300), "download": (500, 0), "handshake": (0, 3_000), "keepalive": (12, 12),
    "udp": (1_000, 0), "quic_upload": (0, 300), "quic_download": (500, 0), "ip": (1_000, 0),
}  # fmt: skip
"""Kind -> bytes that the client sends and receives, where nothing is said."""

DOWNLOADS = ("download", "quic_download")
SMALL = ("udp", "ip", "quic_upload", "quic_download")
FIRST_PORT, POOL = 40_000, 16
"""Ports of its own that one [[traffic]] uses in turn."""


@dataclass(frozen=True, slots=True)
class Who:
    """A client of the scenario."""

    name: str
    mac: bytes
    addresses: dict[Family, str]


class Play:
    """One scenario with one address family."""

    def __init__(self, scenario: Scenario, family: Family, seed: str, *, attacks: bool = True) -> None:
        """`attacks` False: without the traffic that says `attack = true`."""
        self.scenario, self.family, self.seed = scenario, family, seed
        self.start = scenario.began
        self.clients = {str(each.name): _who(each, at) for at, each in enumerate(scenario.client, 1)}
        self.attackers = {str(each.client) for each in scenario.traffic if each.attack}
        self.traffic = [(at, each) for at, each in enumerate(scenario.traffic) if attacks or not each.attack]
        self.borders: list[int] = []
        """Frames that were played before each step of the clock, as far as it has been played."""

    def frames(self) -> Iterator[Timed]:
        """All frames in order of arrival, with the times that the sensor's clock gives them."""
        flows = [
            self._traffic(traffic, who, f"{self.seed}/{at}/{who.name}", at * POOL)
            for at, traffic in self.traffic
            for who in self._clients(traffic)
        ]
        self.borders.clear()
        steps = [(each.at.after(self.start), int(each.by)) for each in self.scenario.step]
        shift, played = 0, count()
        for time, stamp, frame in self._shuffled(heapq.merge(*flows, key=lambda entry: entry[0])):
            number = next(played)
            while steps and time >= steps[0][0]:
                shift += steps.pop(0)[1]
                self.borders.append(number)
            yield (time + shift if stamp is None else stamp), frame

    def reports(self) -> list[tuple[int, str]]:
        """(steps of the clock before it, a line of `replay --foreground`), in the order in which they are heard."""
        told = sorted(
            chain.from_iterable(self._phone(phone) for phone in self.scenario.foreground), key=lambda each: each[0]
        )
        return [(sum(at <= heard for at, _ in self._steps()), line) for heard, line in told]

    def _steps(self) -> list[tuple[int, int]]:
        return [(each.at.after(self.start), int(each.by)) for each in self.scenario.step]

    def _shift(self, time: int) -> int:
        return sum(by for at, by in self._steps() if at <= time)

    def _clients(self, traffic: Traffic) -> list[Who]:
        return list(self.clients.values()) if traffic.client == "all" else [self.clients[traffic.client]]

    def _shuffled(self, frames: Iterator[tuple[int, int | None, bytes]]) -> Iterator[tuple[int, int | None, bytes]]:
        """Frames come up to `shuffle` late, and keep their time."""
        most = int(self.scenario.shuffle)
        if not most:
            yield from frames
            return
        random, waiting, order = (
            Random(f"{self.seed}/shuffle"),
            list[tuple[int, int, tuple[int, int | None, bytes]]](),
            count(),
        )
        for entry in frames:
            while waiting and waiting[0][0] <= entry[0]:
                yield heapq.heappop(waiting)[2]
            heapq.heappush(waiting, (entry[0] + random.randrange(most), next(order), entry))
        while waiting:
            yield heapq.heappop(waiting)[2]

    def _phone(self, phone: Phone) -> Iterator[tuple[int, str]]:
        """(true time of receipt, line)."""
        happened: list[tuple[int, str, str | None, int, int, bool]] = []
        for again in range(phone.times):
            last = self.start
            for each in phone.events:
                last = each.moment.after(self.start, last)
                at = last + again * phone.every
                clock, delay = each.shift("clock", phone.clock), each.shift("delay", phone.delay)
                happened.append((at, each.event, each.app, clock, delay, each.lost))
        if phone.heartbeat is not None:
            at, end = phone.heartbeat.from_.after(self.start), phone.heartbeat.until.after(self.start)
            while at < end:
                happened.append((at, "heartbeat", None, int(phone.clock), int(phone.delay), False))
                at += phone.heartbeat.every
        happened.sort(key=lambda each: each[0])
        for number, (at, event, app, clock, delay, lost) in enumerate(happened, 1):
            if lost:
                continue
            heard = at + delay
            line: dict[str, object] = {
                "time": (at + self._shift(at) + clock) / SECOND,
                "received": (heard + self._shift(heard)) / SECOND,
                "client": mac_text(self.clients[phone.client].mac), "source": phone.source, "event": event,
            }  # fmt: skip
            if app is not None:
                line["app"] = app
            if phone.numbered:
                line["sequence"] = number
            if phone.interval:
                line["interval"] = phone.interval / SECOND
            yield heard, json.dumps(line)

    def _traffic(self, traffic: Traffic, who: Who, seed: str, ports: int) -> Iterator[tuple[int, int | None, bytes]]:
        stamp = None if traffic.stamp is None else round(traffic.stamp.timestamp()) * SECOND
        random = Random(seed)
        begun: list[tuple[int, int, bytes, Iterator[Timed]]] = []
        numbers = count()

        def push(flow: Iterator[Timed]) -> None:
            first = next(flow, None)
            if first is not None:
                heapq.heappush(begun, (first[0], next(numbers), first[1], flow))

        for number, start in enumerate(self._starts(traffic, random)):
            while begun and begun[0][0] < start:
                time, _, frame, flow = heapq.heappop(begun)
                yield time, stamp, frame
                push(flow)
            for flow in self._exchange(traffic, who, start, number, random, ports):
                push(flow)
        while begun:
            time, _, frame, flow = heapq.heappop(begun)
            yield time, stamp, frame
            push(flow)

    def _starts(self, traffic: Traffic, random: Random) -> Iterator[int]:
        """When its exchanges begin; a keep-alive is one exchange."""
        if traffic.kind == "keepalive":
            yield traffic.at.after(self.start)
            return
        yield from (at + (random.randrange(traffic.jitter) if traffic.jitter else 0) for at in self._beats(traffic))

    def _beats(self, traffic: Traffic) -> Iterator[int]:
        at, end = traffic.at.after(self.start), None
        if traffic.until is not None:
            end = traffic.until.after(self.start, at)
        times = traffic.times or (1 if end is None or not traffic.every else 10**9)
        for _ in range(times):
            if end is not None and at >= end:
                return
            yield at
            at += traffic.every

    def _exchange(
        self, traffic: Traffic, who: Who, start: int, number: int, random: Random, ports: int
    ) -> Iterator[Iterator[Timed]]:
        family = self._family(traffic, number)
        if traffic.kind == "join":
            yield wire.joined(who.mac, start, family)
            return
        up, down = amounts(traffic)
        far = self._far_ends(traffic, family, number)
        for at, other in enumerate(far):
            own_port = FIRST_PORT + ports % 20_000 + (number * len(far) + at) % POOL
            port = traffic.port or PORTS.get(traffic.kind, HTTPS)
            own = traffic.own_address if ":" in traffic.own_address or family == "4" else ""
            ends = Ends(who.mac, own or who.addresses[family], other, (own_port, port))
            name = self._name(traffic)
            # Question and answer first, so that nothing is sent to an address that nobody has asked for.
            asked = start
            if name and traffic.dns:
                yield wire.asked(ends, wire.ROUTER_ADDRESSES[family], name, asked, 1 if family == "4" else 28)
            talk = Talk(
                start + 10 * wire.MS, int(traffic.for_), up // len(far), down // len(far),
                name if traffic.tls and traffic.kind not in SMALL else "",
                traffic.segment or (wire.DATAGRAM if traffic.kind in SMALL else wire.SEGMENT), traffic.loss,
                traffic.kind in DOWNLOADS, traffic.decoy, int(traffic.decoy_ahead),
            )  # fmt: skip
            yield self._flow(traffic, ends, talk, random)

    def _flow(self, traffic: Traffic, ends: Ends, talk: Talk, random: Random) -> Iterator[Timed]:
        match traffic.kind:
            case "dns":
                return iter(())
            case "handshake":
                return wire.shaken(ends, talk, random)
            case "keepalive":
                return wire.kept_alive(ends, replace(talk), random, self._beats(traffic))
            case "udp" | "quic_upload" | "quic_download":
                return wire.udp(ends, talk, random)
            case "ip":
                return wire.plain_ip(ends, talk, traffic.protocol)
        return wire.tcp(ends, talk, random)

    def _family(self, traffic: Traffic, number: int) -> Family:
        if traffic.ip == "mixed":
            return "4" if number % 2 == 0 else "6"
        return traffic.ip or self.family

    def _far_ends(self, traffic: Traffic, family: Family, number: int) -> list[str]:
        if traffic.address:
            return [traffic.address]
        at = next((at for at, place in enumerate(self.scenario.place) if place.name == traffic.place), None)
        if at is None:
            return [wire.ROUTER_ADDRESSES[family]]
        first = number % traffic.rotate
        found = [address(self.scenario.place[at], at, family, first + each) for each in range(traffic.spread)]
        if None in found:
            raise ConfigError(f'place "{traffic.place}" has no IPv{family} address')
        return [each for each in found if each]

    def _name(self, traffic: Traffic) -> str:
        if traffic.name:
            return traffic.name
        return next(
            (place.names[0] for place in self.scenario.place if place.name == traffic.place and place.names), ""
        )


def amounts(traffic: Traffic) -> tuple[int, int]:
    """Bytes that the client sends and receives in one exchange."""
    main = traffic.bytes
    if main is None and traffic.rate is not None:
        main = traffic.rate * int(traffic.for_) // SECOND
    up, down = AMOUNTS.get(traffic.kind, (0, 0))
    if traffic.kind in DOWNLOADS:
        return (up if traffic.reply is None else int(traffic.reply)), (down if main is None else int(main))
    return (up if main is None else int(main)), (down if traffic.reply is None else int(traffic.reply))


def _who(client: Client, number: int) -> Who:
    mac = parse_mac(client.mac) if client.mac else bytes([0x02, 0x1D, 0x1E, 0, 0, number])
    return Who(
        str(client.name),
        mac,
        {"4": client.ip4 or f"192.168.1.{9 + number}", "6": client.ip6 or f"fd1d:1e::{9 + number:x}"},
    )
