"""`idlewire setup`: a small configuration out of a few answers, or out of flags; nothing is half written.

What is asked depends on what the box shows (`capture.survey`) and on what the chosen sink needs: its settings are
tried, and what they miss is asked. Secrets go into files of their own that only root and the sensor's user may read.
"""

import json
import os
import pwd
import secrets
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from sensor import config
from sensor.base.countries import Country
from sensor.base.fields import Interface, Mac
from sensor.base.settings import SECRETS, build
from sensor.capture.interface import Link
from sensor.capture.survey import Seen, Survey
from sensor.deliver.sink import SINKS
from sensor.errors import ConfigError, SensorError

USER = "idlewire"
"""Who is to read the files, where there is such a user."""

NO = ("", "n", "no", "none", "-")

TRIES = 3
"""Times that something is asked until it makes sense."""

T = TypeVar("T")
Ask = Callable[[str, str], str]
"""(question, default) -> answer."""


@dataclass(slots=True)
class Answers:
    """What is to be written; None and "": not settled yet, and asked for where somebody answers."""

    interface: str | None = None
    countries: list[str] | None = None
    owners: list[str] | None = None
    clients: dict[str, str] | None = None
    """MAC -> name."""
    sink: str | None = None
    """Its type; "none": none."""
    sink_keys: dict[str, str] = field(default_factory=dict)
    idle: bool | None = None
    """Whether `idlewire idle` is to work."""
    push: str | None = None
    """MAC or name of a phone that reports itself; "": none."""
    token: bool | None = None
    """Whether messages may be sent again over the API."""


@dataclass(slots=True)
class Draft:
    """The file, and the secrets beside it."""

    text: str
    secrets: dict[str, str]
    """File name -> content."""
    sink: str | None
    """Its name."""


def found(box: Survey, vendor: Callable[[str], str | None]) -> str:
    """What there is, for a person to read."""
    lines = ["Found on this box:"]
    links = sorted((link for link in box.links if not link.loopback), key=lambda link: (not link.is_bridge, link.name))
    lines += [f"  {link.name:<12} {_about(link, box)}" for link in links]
    lines.append("Clients that it knows of:" if box.clients else "No clients yet: connect a phone, and run this again.")
    for number, seen in enumerate(box.clients, start=1):
        lines.append(f"  {number:>3}  {_client(seen, vendor)}")
    return "\n".join(lines)


def usual_interface(box: Survey) -> str:
    """What "auto" would be."""
    bridges = [link for link in box.links if link.is_bridge]
    best = min(bridges, key=lambda link: (not link.running, not link.up, link.index), default=None)
    return best.name if best is not None else next(iter(box.ways), "auto")


def asked(answers: Answers, box: Survey, ask: Ask) -> Answers:
    """Settles what is open by asking; an answer that cannot be is asked for again. ConfigError after TRIES of them."""
    if answers.interface is None:
        answers.interface = right(ask, "Which interface shall be watched?", usual_interface(box), Interface)
    if answers.countries is None:
        question = "Countries to watch, as two letters such as CN, RU; empty for none"
        answers.countries = right(ask, question, "", lambda text: [str(Country(each)) for each in words(text)])
    if answers.owners is None:
        answers.owners = words(ask("Owners to watch, such as Xiaomi, Tuya (part of the name); empty for none", ""))
    if answers.clients is None:
        question = f"Names for clients, as {'1=Redmi Note, 2=TV or ' if box.clients else ''}MAC=name; empty for none"
        answers.clients = right(ask, question, "", lambda text: named(text, box))
    if answers.sink is None:
        question = f"Where shall alerts go? none, {', '.join(SINKS.names())}"
        answers.sink = right(ask, question, "none", _sink_type)
    if answers.sink not in (None, *NO):
        _complete(str(answers.sink), answers.sink_keys, ask)
    if answers.idle is None:
        answers.idle = yes(ask("Shall the command idlewire idle work (you say that you do not use a phone)? y/n", "y"))
    if answers.push is None:
        answers.push = ask("MAC or name of a phone that reports itself (MacroDroid, Tasker); empty for none", "")
    if answers.token is None:
        answers.token = yes(ask("May you send failed messages again over the API (makes a token)? y/n", "y"))
    return answers


def right(ask: Ask, question: str, default: str, understand: Callable[[str], T]) -> T:
    """What the answer means; asked again where it means nothing."""
    for tries in range(TRIES):
        try:
            return understand(ask(question, default))
        except (ValueError, ConfigError) as error:
            if tries == TRIES - 1:
                raise ConfigError(str(error)) from None
            question = f"{str(error).splitlines()[0]}\nAgain"
    raise AssertionError("the last try returns or raises")


def draft(answers: Answers, folder: Path, box: Survey) -> Draft:
    """The file's text, tried; secrets are to lie in `folder`. ConfigError."""
    kept: dict[str, str] = {}
    lines = ["# Written by idlewire setup. Every setting: docs/settings.md.", ""]
    if answers.interface not in (None, "auto"):
        lines += [f"interface = {_toml(answers.interface)}", ""]
    if answers.token:
        lines += ["[web]", f"token_file = {_toml(_keep(kept, folder, 'web.token', _new_token()))}", ""]
    for mac, called in (answers.clients or {}).items():
        lines += ["[[client]]", f"mac = {_toml(mac)}", f"name = {_toml(called)}", ""]
    if answers.countries or answers.owners:
        lines += ["[[watch]]", 'name = "watched"']
        lines += [f"countries = {_toml(answers.countries)}"] if answers.countries else []
        lines += [f"owners = {_toml(answers.owners)}", ""] if answers.owners else [""]
    lines += _foreground(answers, folder, box, kept)
    name = None if answers.sink in (None, *NO) else str(answers.sink)
    if name is not None:
        lines += _sink(name, answers.sink_keys, folder, kept)
    text = "\n".join(lines).rstrip("\n") + "\n"
    config.parse(tomllib.loads(text))
    return Draft(text, kept, name)


def write(made: Draft, path: Path, *, force: bool) -> list[Path]:
    """Secrets first, then the configuration, each whole or not at all; the files that were there before are kept.

    Returns those. SensorError: there is a file already and `force` is not given, or it cannot be written.
    """
    targets = [*(path.parent / name for name in made.secrets), path]
    there = [target for target in targets if target.exists() or target.is_symlink()]
    if there and not force:
        raise SensorError(f"{there[-1]} is there already: --force writes a new one and keeps the old one beside it")
    ready: list[tuple[Path, Path]] = []
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        for target, text, mode in (
            *((path.parent / name, f"{value}\n", 0o600) for name, value in made.secrets.items()),
            (path, made.text, 0o644),  # no secret is in it, and the sensor is to read it again
        ):
            ready.append((_beside(target, text, mode), target))
        backups = [_backed_up(target) for target in there]
        while ready:
            temporary, target = ready[0]
            temporary.replace(target)
            del ready[0]
    except OSError as error:
        raise SensorError(f"{error.filename or path}: cannot be written: {error.strerror}") from None
    finally:
        for temporary, _ in ready:
            temporary.unlink(missing_ok=True)
    return backups


def next_steps(made: Draft, path: Path) -> str:
    """The commands that come next."""
    given = "" if path == config.DEFAULT_PATH else f" --config {path}"
    lines = [f"Written: {path}", "Next:", f"  sudo idlewire check-config {path}"]
    if made.sink is not None:
        lines.append(f"  sudo idlewire notify-test {made.sink}{given}")
    if "push.token" in made.secrets:
        lines.append(
            f"  sudo cat {path.parent / 'push.token'}    (the phone's token; README: Phones that report themselves)"
        )
    lines.append(f"  sudo idlewire doctor{given}")
    if path == config.DEFAULT_PATH and Path("/run/systemd/system").exists():
        lines.append("  sudo systemctl enable --now idlewire    (where it was installed as a service; else:)")
    lines.append(f"  sudo idlewire run{given}")
    lines.append("The page is then on http://127.0.0.1:8470")
    return "\n".join(lines)


def words(text: str) -> list[str]:
    """From a list with commas."""
    return [each for part in text.split(",") if (each := part.strip()) and each.lower() not in NO]


def yes(text: str) -> bool:
    """Whether that is a yes."""
    return text.strip().lower() in ("y", "yes", "true", "1")


def named(text: str, box: Survey) -> dict[str, str]:
    """`1=Redmi Note, 60:38:e0:c5:35:a0=TV`: MAC -> name. ConfigError."""
    names = {}
    for each in words(text):
        who, _, name = each.partition("=")
        who = who.strip()
        if who.isascii() and who.isdigit() and 0 < int(who[:6]) <= len(box.clients):
            who = box.clients[int(who) - 1].mac
        try:
            names[str(Mac(who))] = str(config.ClientName(name))
        except ValueError as error:
            raise ConfigError(f"client: {error}") from None
    return names


def _about(link: Link, box: Survey) -> str:
    ports = ", ".join(port.name for port in box.ports(link))
    facts = [
        f"bridge of {ports or 'nothing'}" if link.is_bridge else "Wi-Fi" if link.name in box.wireless else "interface",
        "up" if link.running else "switched on, but not connected" if link.up else "down",
        *box.addresses.get(link.name, ()),
    ]
    if link.name in box.ways:
        facts.append("the way to the internet")
    if link.name == usual_interface(box):
        facts.append("<- would be watched")
    return ", ".join(facts)


def _client(seen: Seen, vendor: Callable[[str], str | None]) -> str:
    return "  ".join((seen.mac, vendor(seen.mac) or "(maker unknown)", seen.interface, " ".join(seen.addresses)))


def _foreground(answers: Answers, folder: Path, box: Survey, kept: dict[str, str]) -> list[str]:
    lines = []
    if answers.idle:
        lines += ["[foreground.manual]", f"token_file = {_toml(_keep(kept, folder, 'manual.token', _new_token()))}", ""]
    if answers.push and answers.push.lower() not in NO:
        file = _toml(_keep(kept, folder, "push.token", _new_token()))
        lines += ["[foreground.push]"]
        name = usual_interface(box) if answers.interface in (None, "auto") else answers.interface
        own = next((each for each in box.addresses.get(str(name), ()) if ":" not in each), None)
        if own is not None:
            lines += [f"listen = {_toml(own.partition('/')[0] + ':8471')}"]
        lines += ["[[foreground.push.phone]]", f"client = {_toml(answers.push)}", f"token_file = {file}", ""]
    return lines


def _sink_type(text: str) -> str:
    if text not in NO:
        SINKS.find(text)
    return text


def _complete(kind: str, values: dict[str, str], ask: Ask) -> None:
    """Asks for what the sink's settings miss, and again for what they refuse."""
    settings = SINKS.find(kind).settings_type
    wanted = [each.name.rstrip("_") for each in fields(settings) if each.default is MISSING]
    for key in [key for key in wanted if key not in values]:
        values[key] = ask(f"{kind}: {key}", "")
    for _ in range(TRIES * len(fields(settings))):
        try:
            _build(settings, values, kind)
        except ConfigError as error:
            problem = error.problems[0]
            lacking = [key for key in _secret_keys(settings) if f"needs {key} or" in problem]
            wrong = [key for key in values if problem.startswith(f"{kind}.{key}:")]
            if not lacking and not wrong:
                raise
            key = (lacking or wrong)[0]
            hidden = " (not shown)" if key in _secret_keys(settings) else ""
            values[key] = ask(f"{kind}: {key}{hidden}" if lacking else f"{problem}\nAgain: {key}{hidden}", "")
        else:
            return


def _build(settings: Any, values: Mapping[str, str], kind: str) -> dict[str, Any]:
    """The values as the file is to have them. ConfigError."""
    typed = {key: _typed(settings, key, value) for key, value in values.items()}
    build(settings, typed, kind)
    return typed


def _sink(kind: str, values: Mapping[str, str], folder: Path, kept: dict[str, str]) -> list[str]:
    settings = SINKS.find(kind).settings_type
    lines = ["[[sink]]", f"name = {_toml(kind)}", f"type = {_toml(kind)}"]
    for key, value in _build(settings, values, kind).items():
        if key in _secret_keys(settings):
            lines.append(f"{key}_file = {_toml(_keep(kept, folder, f'{kind}.{key}', str(value)))}")
        else:
            lines.append(f"{key} = {_toml(value)}")
    return [*lines, ""]


def _secret_keys(settings: Any) -> list[str]:
    names = {each.name for each in fields(settings)}
    return [
        name for name in sorted(names) if f"{name}_file" in names and name.rpartition("_")[2] in {*SECRETS, "topic"}
    ]


def _typed(settings: Any, key: str, text: str) -> Any:
    """A list, a number or a truth where the settings want one."""
    kind = str(next((each.type for each in fields(settings) if each.name.rstrip("_") == key), "str"))
    if "tuple" in kind:
        return words(text)
    if "bool" in kind:
        return yes(text)
    return int(text) if ("int" in kind or "Port" in kind) and text.isascii() and text.isdigit() else text


def _keep(kept: dict[str, str], folder: Path, name: str, value: str) -> str:
    kept[name] = value
    return str(folder / name)


def _new_token() -> str:
    return secrets.token_hex(16)


def _toml(value: object) -> str:
    """JSON is TOML here: text, numbers, truths and lists of them; but for DEL, which TOML wants escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _beside(target: Path, text: str, mode: int) -> Path:
    """The content, safely on the disk under another name, for the sensor's user."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    opened = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(opened, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(opened)
            _give(opened, mode)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _give(opened: int, mode: int) -> None:
    """Secrets become the user's own."""
    with suppress(KeyError, PermissionError):
        entry = pwd.getpwnam(USER)
        if mode == 0o600:
            os.fchown(opened, entry.pw_uid, entry.pw_gid)


def _backed_up(target: Path) -> Path:
    copy = target.with_name(f"{target.name}.old")
    copy.unlink(missing_ok=True)
    os.link(target, copy, follow_symlinks=False)
    return copy
