"""What facts mean: each check is a pure function, and says what to do where something is wrong."""

from collections.abc import Callable, Iterator

from sensor.base.text import printable
from sensor.base.times import SECOND
from sensor.base.units import size_text
from sensor.doctor.facts import Facts, Waiting
from sensor.doctor.findings import Finding

FIRST_YEAR = 1_767_225_600 * SECOND
"""2026: a clock before it was never set."""

LEAST_SPACE, LITTLE_SPACE = 20_000_000, 200_000_000
"""Bytes: nothing can be kept; it will be tight."""

OLD_GEO = 180 * 86_400 * SECOND
"""ns after which addresses have moved to others in numbers worth a word."""

HIDING = {
    "rx-gro-hw": "merges frames in the card, which can change what is counted",
    "rx-lro": "merges frames in the card for good, so that packets cannot be counted",
    "hw-tc-offload": "may forward traffic in the card, past the bridge and past the sensor",
}
"""Features of a card that hide or bend traffic."""


def configuration(facts: Facts) -> Iterator[Finding]:
    """Whether the file can be taken."""
    for problem in facts.problems:
        yield Finding("error", "configuration", problem, "idlewire check-config says so, too; mend that line")
    if not facts.problems:
        yield Finding("ok", "configuration", f"{facts.path}: fine")
    if facts.reload_ok is False:
        yield Finding(
            "warning", "configuration", "the sensor runs an older one: the last reload was refused",
            "mend the file, then: sudo systemctl reload idlewire",
        )  # fmt: skip
    if not facts.config.sink:
        yield Finding(
            "warning", "configuration", "no [[sink]]: alerts only show on the page", "idlewire setup adds one"
        )
    if not facts.config.watch and not facts.config.foreground.sources:
        yield Finding(
            "warning", "configuration", "neither a [[watch]] nor a source under [foreground]: little can alert",
            "idlewire setup asks for both",
        )  # fmt: skip


def rights(facts: Facts) -> Iterator[Finding]:
    """Whether frames may be captured."""
    if facts.can_capture:
        yield Finding("ok", "rights", "may capture")
    elif facts.status is not None:
        yield Finding(
            "note", "rights", "this command may not capture, but the sensor that runs may", "use sudo to see more"
        )
    else:
        yield Finding("error", "rights", "may not capture (CAP_NET_RAW)", "run it with sudo, or as the service")


def watched(facts: Facts) -> Iterator[Finding]:
    """Whether there is something to watch."""
    if facts.box is None:
        yield Finding("error", "interface", "the interfaces cannot be read over netlink")
        return
    link = next((each for each in facts.box.links if each.name == facts.interface), None)
    if link is None:
        names = ", ".join(each.name for each in facts.box.links if not each.loopback)
        what = f"there is no interface {facts.interface}" if facts.interface else "no bridge and no default route"
        yield Finding("error", "interface", what, f'set interface = "NAME"; there are: {names or "none"}')
        return
    if not link.up:
        yield Finding("error", "interface", f"{link.name} is down", f"sudo ip link set {link.name} up")
    elif not link.running:
        yield Finding("warning", "interface", f"{link.name} is up, but nothing is connected to it", "connect a client")
    else:
        yield Finding("ok", "interface", f"{link.name} is up")
    ports = [each.name for each in facts.box.ports(link)]
    if link.is_bridge and not ports:
        yield Finding(
            "warning", "interface", f"the bridge {link.name} has no ports, so no client is behind it",
            "add one: sudo ip link set PORT master " + link.name,
        )  # fmt: skip
    elif ports:
        yield Finding("ok", "interface", f"{link.name} is a bridge of {', '.join(ports)}")
    if link.master:
        bridge = next((each.name for each in facts.box.links if each.index == link.master), "its bridge")
        yield Finding(
            "warning", "interface", f"{link.name} is only a port of {bridge}: clients of its other ports are not seen",
            f'set interface = "{bridge}"',
        )  # fmt: skip


def everything_seen(facts: Facts) -> Iterator[Finding]:
    """Whether frames of clients come by at all."""
    decided = facts.promiscuous
    if decided is None:
        return
    wanted = facts.config.promiscuous
    if decided.promiscuous and wanted is False:
        yield Finding(
            "warning", "promiscuous", f"is off, but {decided.reason}", 'set promiscuous = "auto", or true',
        )  # fmt: skip
    else:
        yield Finding("ok", "promiscuous", f"{'used' if decided.promiscuous else 'not needed'}: {decided.reason}")
    link = next((each for each in facts.box.links if each.name == facts.interface), None) if facts.box else None
    if decided.promiscuous and facts.box is not None and link is not None and not link.is_bridge:
        yield Finding(
            "warning", "promiscuous", f"{link.name} is no bridge: behind a switch only this box's own traffic comes by",
            "run the sensor on the router or access point, or mirror the router's port to this box",
        )  # fmt: skip


def offload(facts: Facts) -> Iterator[Finding]:
    """What takes traffic past the sensor."""
    for name, features in facts.features.items():
        for feature, why in HIDING.items():
            if features.get(feature):
                yield Finding(
                    "warning", "offload", f"{name}: {feature} is on: it {why}", f"sudo ethtool -K {name} {feature} off"
                )
    for name, hardware, devices in facts.flowtables or ():
        where = "hardware" if hardware else "software"
        yield Finding(
            "warning", "offload", f"nftables flowtable {name} ({where}) takes flows of {', '.join(devices) or 'nobody'}"
            " past the bridge: of those only the first packets are seen",
            "take it out of the firewall's rules (OpenWrt: Network, Firewall, flow offloading: none)",
        )  # fmt: skip
    if facts.flowtables is None:
        yield Finding("note", "offload", "flowtables cannot be read", "sudo, and the package nftables, show them")
    elif not facts.flowtables:
        yield Finding("ok", "offload", "no flowtables")


def clock(facts: Facts) -> Iterator[Finding]:
    """Whether times can be right."""
    if facts.now < FIRST_YEAR:
        yield Finding("error", "clock", "was never set: it is before 2026", "sudo timedatectl set-ntp true")
    elif facts.synchronised is False:
        yield Finding("warning", "clock", "is not synchronised", "sudo timedatectl set-ntp true")
    elif facts.synchronised is None:
        yield Finding("note", "clock", "the kernel does not say whether it is synchronised")
    else:
        yield Finding("ok", "clock", "is synchronised")


def disk(facts: Facts) -> Iterator[Finding]:
    """Whether what must outlive a restart can be kept."""
    folder, state = facts.config.state_dir, facts.state
    if state is None:
        yield Finding("error", "disk", f"{folder} cannot be looked at", "set state_dir to a folder on a disk")
        return
    if state.read_only:
        yield Finding(
            "error", "disk", f"{folder} lies on a disk that is read-only", "mount it for writing, or set state_dir"
        )
    elif state.free < LEAST_SPACE or not state.inodes:
        yield Finding(
            "error", "disk", f"{folder}: only {size_text(state.free)} are free", "make room: messages are lost"
        )
    elif state.free < LITTLE_SPACE:
        yield Finding("warning", "disk", f"{folder}: only {size_text(state.free)} are free", "make room")
    else:
        yield Finding("ok", "disk", f"{folder}: {size_text(state.free)} are free")
    if not state.exists and not state.read_only:
        yield Finding("note", "disk", f"{folder} is not there yet; started as root, the sensor makes it")
    if state.on_card:
        yield Finding("note", "disk", f"{folder} lies on an SD card; the sensor writes at most some 25 MB a day to it")


def places(facts: Facts) -> Iterator[Finding]:
    """Whether countries and owners are known, and how well."""
    if facts.geo is None:
        yield Finding("note", "database", "no database of addresses says when it was built")
    elif isinstance(facts.geo, str):
        yield Finding("error", "database", facts.geo, "name another file under [geo], or none for the built-in one")
    else:
        name, built = facts.geo
        days = (facts.now - built) // (86_400 * SECOND)
        if facts.now - built > OLD_GEO:
            yield Finding(
                "warning", "database", f"{name} is {days} days old: some places are wrong by now", "idlewire geo update"
            )
        else:
            yield Finding("ok", "database", f"{name}, {max(days, 0)} days old")


def messages(facts: Facts) -> Iterator[Finding]:
    """Whether messages get out."""
    outbox = facts.outbox
    if isinstance(outbox, str):
        yield Finding("error", "outbox", printable(outbox, 200), "move outbox.db away; a new one is begun")
    elif isinstance(outbox, Waiting) and outbox.dead:
        yield Finding(
            "warning", "outbox", f"{outbox.dead} messages were given up, {outbox.waiting} wait",
            "/api/v1/outbox says why; POST /api/v1/outbox/replay sends them again",
        )  # fmt: skip
    elif isinstance(outbox, Waiting):
        yield Finding("ok", "outbox", f"{outbox.waiting} messages wait, none was given up")


def servers(facts: Facts) -> Iterator[Finding]:
    """Whether sinks and sources can be reached."""
    for each in facts.reached:
        about, host, port = each.endpoint.about, each.endpoint.host, each.endpoint.port
        if host is None:
            yield Finding(
                "note", about, "where it sends cannot be told from its settings", "idlewire notify-test tries it"
            )
        elif each.error is None:
            yield Finding("ok", about, f"{host}:{port} takes connections")
        else:
            yield Finding(
                "warning", about, f"{host}:{port} cannot be reached: {each.error}", "check name, network and firewall"
            )


def daemon(facts: Facts) -> Iterator[Finding]:
    """Whether a sensor runs and sees traffic."""
    if facts.status is None:
        if facts.listen is not None:
            said = f"none answers on {facts.config.web.listen}, and the address cannot be had: {facts.listen}"
            yield Finding("error", "sensor", said, "set another web.listen")
        else:
            yield Finding("note", "sensor", "does not run", "sudo systemctl start idlewire, or sudo idlewire run")
        return
    capture = facts.status.get("capture")
    if not isinstance(capture, dict):
        said = f"what answers on {facts.config.web.listen} is no sensor"
        yield Finding("error", "sensor", said, "set another web.listen")
        return
    where = printable(str(capture.get("interface")), 40)
    if not capture.get("interface_up"):
        yield Finding("error", "sensor", f"runs, but waits for {where}", "see interface above")
    elif facts.frames == 0:
        yield Finding(
            "warning", "sensor", f"runs on {where}, but saw no frame just now",
            "let a client load a page and look again; then see promiscuous and offload above",
        )  # fmt: skip
    else:
        yield Finding("ok", "sensor", f"runs on {where} and saw {facts.frames} frames just now")
    ratio = capture.get("captured_ratio")
    if isinstance(ratio, float) and ratio < 0.99:
        yield Finding(
            "warning", "sensor", f"lost {100 * (1 - ratio):.1f} % of the frames", "make [capture] ring larger",
        )  # fmt: skip


CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    configuration, rights, watched, everything_seen, offload, clock, disk, places, messages, servers, daemon,
)  # fmt: skip
"""In the order in which they are told."""


def examined(facts: Facts) -> list[Finding]:
    """All findings."""
    return [finding for check in CHECKS for finding in check(facts)]
