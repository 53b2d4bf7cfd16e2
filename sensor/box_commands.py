"""The commands about this box: `setup`, `doctor` and `geo update`."""

import argparse
import getpass
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sensor import config
from sensor.base.addresses import parse_mac
from sensor.base.text import printable
from sensor.errors import ConfigError, SensorError


def add(commands: Any, style: Any) -> None:
    """Their parsers; `commands`: of the whole command, `style`: for all of its parts."""
    setup = commands.add_parser("setup", help="write a small configuration", epilog=SETUP_EXAMPLES, **style)
    setup.add_argument("--config", type=Path, metavar="FILE", help=f"where to (default: {config.DEFAULT_PATH})")
    setup.add_argument("--yes", action="store_true", help="ask nothing: what no flag says is left out, or found")
    setup.add_argument("--force", action="store_true", help="replace a file that is there; the old one is kept as .old")
    setup.add_argument("--interface", metavar="NAME", help="what to watch; auto: the first bridge")
    setup.add_argument("--country", action="append", metavar="CODE", help="watch it; may be repeated")
    setup.add_argument("--owner", action="append", metavar="NAME", help="watch it; may be repeated")
    setup.add_argument("--client", action="append", metavar="MAC=NAME", help="a name for a client; may be repeated")
    setup.add_argument("--sink", metavar="TYPE", help="where alerts go: slack, telegram, ntfy ...; none")
    setup.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the sink")
    setup.add_argument("--manual", action="store_true", help="make idlewire idle work")
    setup.add_argument("--push", metavar="CLIENT", help="a phone that reports itself")
    setup.add_argument("--web-token", action="store_true", help="make a token for the API")
    setup.set_defaults(command=_setup)

    doctor = commands.add_parser("doctor", help="what keeps the sensor from working", epilog=DOCTOR_EXAMPLES, **style)
    doctor.add_argument("--config", type=Path, metavar="FILE", help=f"settings (default: {config.DEFAULT_PATH})")
    doctor.add_argument("--json", action="store_true", help="one JSON object")
    doctor.add_argument("--offline", action="store_true", help="connect to no sink and no source")
    doctor.add_argument("--send", action="store_true", help="send a test message through every sink")
    doctor.set_defaults(command=_doctor)

    geo = commands.add_parser("geo", help="fetch a newer IP database: geo update", epilog=GEO_EXAMPLES, **style)
    geo.add_argument("action", choices=["update"], metavar="update", help="fetch, look at it, put it in place")
    geo.add_argument("--config", type=Path, metavar="FILE", help=f"settings (default: {config.DEFAULT_PATH})")
    geo.add_argument("--force", action="store_true", help="fetch it although it did not change, take an older one")
    geo.add_argument("--json", action="store_true", help="one JSON object")
    geo.set_defaults(command=_geo)


def _setup(options: argparse.Namespace) -> int:
    from sensor import setup
    from sensor.capture.survey import survey

    path = options.config or config.DEFAULT_PATH
    if (path.exists() or path.is_symlink()) and not options.force:
        raise SensorError(f"{path} is there already: --force writes a new one and keeps the old one beside it")
    box = survey()
    _say(setup.found(box, _vendor()))
    answers = setup.Answers(
        interface=options.interface,
        countries=options.country,
        owners=options.owner,
        clients=setup.named(", ".join(options.client), box) if options.client else None,
        sink=options.sink,
        sink_keys=_pairs(options.set),
        idle=options.manual or None,
        push=options.push,
        token=options.web_token or None,
    )
    if not options.yes:
        setup.asked(answers, box, _ask)
    made = setup.draft(answers, path.parent.absolute(), box)
    for backup in setup.write(made, path, force=options.force):
        _say(f"The old one is now {backup}")
    _say(setup.next_steps(made, path))
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from sensor.doctor import checks, report
    from sensor.doctor.facts import gather
    from sensor.doctor.findings import Finding

    facts = gather(options.config, network=not options.offline)
    findings = checks.examined(facts)
    if options.send:
        from sensor import trial

        for sink in facts.config.sink:
            try:
                findings.append(Finding("ok", f"sink {sink.name}", trial.send(facts.config, str(sink.name), facts.now)))
            except SensorError as error:
                findings.append(Finding("error", f"sink {sink.name}", str(error), "see its settings"))
    _say(report.as_json(findings) if options.json else report.as_text(findings))
    return report.code(findings)


def _geo(options: argparse.Namespace) -> int:
    from sensor import geo_update
    from sensor.capture import privileges

    settings = config.load(options.config)
    url = geo_update.url_of(settings)
    if os.geteuid() == 0:
        # What comes from the network is no business of root's, and the folder is the sensor's.
        user = None if settings.user == "auto" else settings.user
        privileges.prepare_state(settings.state_dir, user)
        privileges.preload()
        privileges.drop(user)
    outcome = geo_update.update(settings, url, time.time_ns(), force=options.force)
    _say(outcome.as_json() if options.json else outcome.as_text())
    return 0


def _ask(question: str, default: str) -> str:
    shown = f"{question} [{default}]: " if default else f"{question}: "
    try:
        hidden = question.endswith("(not shown)") and sys.stdin.isatty()
        answer = getpass.getpass(shown) if hidden else input(shown)
    except EOFError:
        raise SensorError(
            "setup: nobody answers any more, and nothing was written: use --yes, and flags for what it shall hold"
        ) from None
    except UnicodeDecodeError:
        raise SensorError("setup: the answer is not UTF-8 text; nothing was written") from None
    return answer.strip() or default


def _pairs(given: list[str]) -> dict[str, str]:
    found = {}
    for each in given:
        key, equals, value = each.partition("=")
        if not equals:
            raise ConfigError(f"--set: expected KEY=VALUE, got {printable(each.partition(':')[0], 40)}")
        found[key.strip()] = value.strip()
    return found


def _vendor() -> Callable[[str], str | None]:
    from sensor.enrich.vendors import Vendors

    vendors = Vendors()
    vendors.open()
    return lambda mac: vendors.vendor(parse_mac(mac))


def _say(text: str) -> None:
    print(text)  # noqa: T201


SETUP_EXAMPLES = """examples:
  sudo idlewire setup
  sudo idlewire setup --config lab.toml
  sudo idlewire setup --yes --country CN --owner Xiaomi --sink ntfy --set topic=a-topic-nobody-guesses

Shows what it found, asks a few questions, and writes a small file; secrets go into files of their own beside it that
only root and the sensor may read. A file that is there is never touched without --force."""

DOCTOR_EXAMPLES = """examples:
  sudo idlewire doctor
  sudo idlewire doctor --config lab.toml --json
  sudo idlewire doctor --send

Looks at interface, rights, offload, clock, disk, database, outbox, sinks, sources and the sensor that runs, and says
what to do. Connects to the configured sinks and sources and to nobody else; only --send sends something. Exits with 0,
or with 1 where something keeps the sensor from working."""

GEO_EXAMPLES = """examples:
  sudo idlewire geo update
  sudo idlewire geo update --config lab.toml --json

Fetches [geo] update_url (https), looks whether it is a whole database that places well-known addresses and is not
older than the one that is there, and puts it into the state folder; a sensor that runs takes it within the hour.
Whatever goes wrong, the old one stays. Exits with 0, also where nothing changed, or with 1 and the reason."""
