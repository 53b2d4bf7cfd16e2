"""The `idlewire` command."""

import argparse
import dataclasses
import gc
import io
import ipaddress
import logging
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from sensor import __version__, box_commands, config
from sensor.base.fields import Interface
from sensor.cli_mutes import add_commands
from sensor.config import Config
from sensor.enrich.mmdb import ATTRIBUTION
from sensor.errors import ConfigError, SensorError

PROGRESS_FROM = 50_000_000
"""Bytes of capture files from which a progress bar is worth drawing."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; 0 fine, 1 the user's error (one line each on stderr), 2 usage."""
    options = _parser().parse_args(arguments)
    # What is imported stays: the collector need not look at it again, and tables of long-lived rows make it look often.
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    logging.basicConfig(level=logging.INFO, format="%(levelname).1s %(name)s: %(message)s", stream=sys.stderr)
    try:
        code: int = options.command(options)
    except SensorError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            print(f"cannot write the result: {error.strerror or error}", file=sys.stderr)  # noqa: T201
            return 1
        # Whoever read our output has seen enough (`| head`); the interpreter must not fail once more on closing it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _run(options: argparse.Namespace) -> int:
    # Until the daemon listens to it; what it would read again is read later in the same start.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from sensor.app import run_daemon

    def settings() -> Config:
        found = config.load(options.config)
        return found if interface is None else dataclasses.replace(found, interface=interface)

    interface = None if options.interface is None else _interface(options.interface)
    run_daemon(settings(), settings)
    return 0


def _replay(options: argparse.Namespace) -> int:
    from sensor.deliver.report import replay_object, replay_table
    from sensor.deliver.shapes import json_bytes
    from sensor.replay import replay

    # Nothing that grows with the capture refers to itself, so the collector would find nothing however often it looks.
    gc.disable()
    progress = Progress()
    settings = _for_replay(options.config)
    result = replay(settings, options.capture, local=options.local, foreground=options.foreground, progress=progress)
    progress.clear()
    _say(result.replayed.warnings)
    if options.json:
        _print(json_bytes(replay_object(result)).decode("ascii") + "\n")
    else:
        _print(replay_table(result, shutil.get_terminal_size((120, 24)).columns))
    gc.freeze()  # an exiting interpreter looks once more, disabled or not
    return 0


def _backtest(options: argparse.Namespace) -> int:
    from sensor.deliver.shapes import json_bytes
    from sensor.deliver.tallies import Tally, backtest_object, backtest_table
    from sensor.replay import replay

    progress, tally = Progress(), Tally()
    result = replay(
        config.load(options.config),
        options.capture,
        local=options.local,
        foreground=options.foreground,
        progress=progress,
        on_alert=tally.add,
    )
    progress.clear()
    _say(result.replayed.warnings)
    if options.json:
        _print(json_bytes(backtest_object(result, tally)).decode("ascii") + "\n")
    else:
        _print(backtest_table(result, tally))
    return 0


def _say(warnings: Sequence[str]) -> None:
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)  # noqa: T201


def _print(text: str) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal may know fewer letters than owners' names have
    sys.stdout.write(text)
    sys.stdout.flush()


def _for_replay(path: Path | None) -> Config:
    """Without --config a replay is the same everywhere: the file of the daemon on this box is not read."""
    return config.load(path) if path is not None else config.parse({})


def _check(options: argparse.Namespace) -> int:
    path = options.file or config.DEFAULT_PATH
    if options.file is None and not path.exists():
        print(f"{path} does not exist: all defaults hold")  # noqa: T201
        return 0
    problems = config.problems(config.load(path))
    if problems:
        raise ConfigError(*(f"{path}: {problem}" for problem in problems))
    print(f"{path}: fine")  # noqa: T201
    return 0


def _idle(options: argparse.Namespace) -> int:
    from sensor import ask, idle

    statement = {"client": options.client, "state": "none" if options.over else "background"}
    if options.until is not None:
        statement["until"] = ask.until(options.until)
    if options.for_ is not None:
        statement["for"] = options.for_
    if options.note:
        statement["note"] = options.note
    print(idle.state(config.load(options.config), statement, time.time_ns()))  # noqa: T201
    return 0


def _notify_test(options: argparse.Namespace) -> int:
    from sensor import trial

    print(trial.send(config.load(options.config), options.sink, time.time_ns()))  # noqa: T201
    return 0


def _selftest(options: argparse.Namespace) -> int:
    from sensor.selftest import trying

    # What the parts log as they start is the daemon's; here each step tells of itself.
    logging.getLogger("sensor").setLevel(logging.WARNING)
    same = "" if options.config is None else f" --config {shlex.quote(str(options.config))}"
    succeeded = trying.run(config.load(options.config), options.sink, as_json=options.json, say=_print, options=same)
    return 0 if succeeded else 1


def _interface(name: str) -> Interface:
    try:
        return Interface(name)
    except ValueError as error:
        raise ConfigError(f"--interface: {error}") from error


class Progress:
    """A bar on stderr, when that is a terminal and there is much to read."""

    def __init__(self) -> None:
        self._next = 0.0
        self._drawn = False

    def __call__(self, done: int, total: int | None) -> None:
        """Draws at most ten times a second."""
        if not total or total < PROGRESS_FROM or time.monotonic() < self._next or not sys.stderr.isatty():
            return
        self._next = time.monotonic() + 0.1
        self._drawn = True
        filled = 40 * done // total
        sys.stderr.write(f"\r[{'#' * filled}{'.' * (40 - filled)}] {100 * done // total:3d} %")
        sys.stderr.flush()

    def clear(self) -> None:
        """Takes the bar away."""
        if self._drawn:
            sys.stderr.write("\r\033[K")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "idlewire", description="See what your devices send when nobody is using them.", epilog=EXAMPLES, **_STYLE
    )
    parser.add_argument("--version", action="version", version=f"idlewire {__version__}\n{ATTRIBUTION}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    run = commands.add_parser("run", help="watch an interface (the daemon)", epilog=RUN_EXAMPLES, **_STYLE)
    run.add_argument("--config", type=Path, metavar="FILE", help=f"settings (default: {config.DEFAULT_PATH})")
    run.add_argument("--interface", metavar="NAME", help="default: the first bridge, else that of the default route")
    run.set_defaults(command=_run)

    replay = commands.add_parser("replay", help="read capture files", epilog=REPLAY_EXAMPLES, **_STYLE)
    replay.add_argument("capture", nargs="+", metavar="CAPTURE", help="pcap or pcapng, also gzip; - is stdin")
    replay.add_argument("--config", type=Path, metavar="FILE", help="settings; without it the defaults")
    replay.add_argument(
        "--local", action="append", default=[], type=_prefix, metavar="PREFIX", help="addresses that are clients, too"
    )
    replay.add_argument("--foreground", type=Path, metavar="FILE", help="phone states as JSON lines")
    replay.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    replay.set_defaults(command=_replay)

    backtest = commands.add_parser(
        "backtest", help="what rules would have raised, over capture files", epilog=BACKTEST_EXAMPLES, **_STYLE
    )
    backtest.add_argument("capture", nargs="+", metavar="CAPTURE", help="pcap or pcapng, also gzip; - is stdin")
    backtest.add_argument("--config", type=Path, required=True, metavar="FILE", help="the settings to try")
    backtest.add_argument("--foreground", type=Path, metavar="FILE", help="phone states as JSON lines")
    backtest.add_argument(
        "--local", action="append", default=[], type=_prefix, metavar="PREFIX", help="addresses that are clients, too"
    )
    backtest.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    backtest.set_defaults(command=_backtest)

    check = commands.add_parser("check-config", help="check a settings file", epilog=CHECK_EXAMPLES, **_STYLE)
    check.add_argument("file", nargs="?", type=Path, metavar="FILE", help=f"default: {config.DEFAULT_PATH}")
    check.set_defaults(command=_check)

    idle = commands.add_parser("idle", help="say that nobody uses a client for a while", epilog=IDLE_EXAMPLES, **_STYLE)
    idle.add_argument("client", metavar="CLIENT", help="its MAC, or its name under [[client]]")
    end = idle.add_mutually_exclusive_group(required=True)
    end.add_argument("--until", metavar="TIME", help="15:00, the next time it is that late here")
    end.add_argument("--for", dest="for_", metavar="DURATION", help="2h, 90m; at most 7d")
    end.add_argument("--over", action="store_true", help="take it back")
    idle.add_argument("--note", metavar="TEXT", help="why; kept with it")
    idle.add_argument("--config", type=Path, metavar="FILE", help=f"the sensor's (default: {config.DEFAULT_PATH})")
    idle.set_defaults(command=_idle)

    notify = commands.add_parser(
        "notify-test", help="send a test message through a sink", epilog=NOTIFY_EXAMPLES, **_STYLE
    )
    notify.add_argument("sink", metavar="SINK", help="its name under [[sink]]")
    notify.add_argument("--config", type=Path, metavar="FILE", help=f"settings (default: {config.DEFAULT_PATH})")
    notify.set_defaults(command=_notify_test)

    selftest = commands.add_parser(
        "selftest", help="try all of it: an upload, the alerts, the sinks", epilog=SELFTEST_EXAMPLES, **_STYLE
    )
    selftest.add_argument("--config", type=Path, metavar="FILE", help=f"settings (default: {config.DEFAULT_PATH})")
    selftest.add_argument(
        "--sink", action="append", default=[], metavar="NAME", help="only to this sink; may be given again"
    )
    selftest.add_argument("--json", action="store_true", help="one JSON object at the end instead of lines")
    selftest.set_defaults(command=_selftest)
    add_commands(commands, _STYLE)
    box_commands.add(commands, _STYLE)
    return parser


class _Style(TypedDict):
    formatter_class: type[argparse.HelpFormatter]
    allow_abbrev: bool


_STYLE = _Style(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)


def _prefix(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no address block such as 192.0.2.0/24: {error}") from error


EXAMPLES = """examples:
  sudo idlewire run --interface br0
  idlewire replay phone.pcapng
  idlewire check-config /etc/idlewire/idlewire.toml
  idlewire idle "Redmi Note" --until 15:00
  idlewire mute --client "Redmi Note" --owner Xiaomi
  idlewire notify-test family
  sudo idlewire selftest

idlewire COMMAND --help tells more."""

RUN_EXAMPLES = """examples:
  sudo idlewire run
  sudo idlewire run --interface br0 --config lab.toml

Started as root, it becomes an unprivileged user once the interface is open.
The page is on http://127.0.0.1:8470, metrics are at /metrics. SIGTERM or Ctrl-C ends it."""

REPLAY_EXAMPLES = """examples:
  idlewire replay phone.pcapng
  idlewire replay --json --config lab.toml monday.pcap.gz tuesday.pcap.gz > found.json
  idlewire replay --foreground states.jsonl phone.pcapng
  idlewire replay --local 2001:db8:1::/64 upstream.pcap
  tcpdump -i br0 -w - -c 1000 | idlewire replay -"""

BACKTEST_EXAMPLES = """examples:
  idlewire backtest --config new.toml --foreground states.jsonl monday.pcap.gz tuesday.pcap.gz
  idlewire backtest --config new.toml --json week.pcapng > found.json

Shows which alerts the rules in new.toml would have raised, per client and day, before they are switched on."""

CHECK_EXAMPLES = """examples:
  idlewire check-config
  idlewire check-config lab.toml

Prints one line per error, each naming the key, and exits with 1; 0 when the file is fine."""

IDLE_EXAMPLES = """examples:
  idlewire idle "Redmi Note" --until 15:00
  idlewire idle 60:38:e0:c5:35:a0 --for 2h --note "in the drawer, uploads off"
  idlewire idle "Redmi Note" --over

Until then what the client sends counts as sent while nobody uses it, whatever the client itself reports.
Needs [foreground.manual] with a token in the settings of the running sensor, and the right to read it."""

NOTIFY_EXAMPLES = """examples:
  idlewire notify-test family
  sudo idlewire notify-test lab --config lab.toml

Sends one message that says it is a test, straight to that sink: no sensor needs to run, and nothing waits or is tried
again. Prints how long it took, or why it did not arrive, and exits with 0 or 1. It needs the right to read the files
that hold the sink's secrets."""

SELFTEST_EXAMPLES = """examples:
  sudo idlewire selftest
  sudo idlewire selftest --config lab.toml --sink family --sink lab
  sudo idlewire selftest --json > selftest.json

Two test clients (IPv4, IPv6) upload some 300 KB each, in a network of their own that nothing leaves. The real capture,
detectors and sinks look at it, with your settings; `background_upload` waits for 3 s instead of its `for`. Every
message says that it is a self-test. It takes about 7 s, also beside a running sensor, whose state it does not touch.
Exits with 0 if all of it works, else with 1 and what to do. Needs root, and the package scapy."""
