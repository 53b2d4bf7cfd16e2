"""The commands about alerts that nobody wants to hear of: their arguments; `mutes.py` is what they run."""

import argparse
import time
from pathlib import Path
from typing import Any

from sensor import ask, config, mutes
from sensor.errors import SensorError

Commands = Any
"""What `add_subparsers` gives: argparse keeps its type to itself."""


def add_commands(commands: Commands, style: Any) -> None:
    """Adds them all; `style`: keywords for each."""
    mute = commands.add_parser("mute", help="tell nobody of some alerts for a while", epilog=MUTE_EXAMPLES, **style)
    _key(mute)
    _end(mute)
    _common(mute)
    mute.set_defaults(command=lambda options: _make("mute", options))

    allow = commands.add_parser("allow", help="tell nobody of some alerts any more", epilog=ALLOW_EXAMPLES, **style)
    _key(allow)
    _end(allow)
    _common(allow)
    allow.set_defaults(command=lambda options: _make("allow", options))

    seen = commands.add_parser("acknowledge", help="no more reminders of one alert", epilog=SEEN_EXAMPLES, **style)
    seen.add_argument("alert", nargs="?", metavar="ALERT", help="its id, or how that begins; without: shows them")
    _common(seen)
    seen.set_defaults(command=_acknowledge)

    listing = commands.add_parser("mutes", help="what is muted, allowed, acknowledged", epilog=LIST_EXAMPLES, **style)
    listing.add_argument("--all", action="store_true", help="with what is over or was taken back")
    listing.add_argument("--json", action="store_true", help="one JSON object")
    _config(listing)
    listing.set_defaults(command=_list)

    undo = commands.add_parser("unmute", help="take one of these back", epilog=UNDO_EXAMPLES, **style)
    undo.add_argument("id", metavar="ID", help="as idlewire mutes shows it")
    _common(undo)
    undo.set_defaults(command=_undo)

    pause = commands.add_parser("maintenance", help="tell nobody anything for a while", epilog=PAUSE_EXAMPLES, **style)
    end = pause.add_mutually_exclusive_group(required=True)
    end.add_argument("--for", dest="for_", metavar="DURATION", help="2h, 90m; at most 7d")
    end.add_argument("--until", metavar="TIME", help="15:00, the next time it is that late here")
    end.add_argument("--over", action="store_true", help="end it now")
    _common(pause)
    pause.set_defaults(command=_maintenance)


def _key(parser: argparse.ArgumentParser) -> None:
    key = parser.add_argument_group("which alerts", "those that match all that is given")
    key.add_argument("--detector", metavar="NAME", help="background_upload, watchlist, ...")
    key.add_argument("--client", metavar="CLIENT", help="its MAC, or its name under [[client]]")
    key.add_argument("--owner", metavar="OWNER", help="part of the far end's owner")
    key.add_argument("--domain", metavar="NAME", help="of the far end; stands for all names under it")
    key.add_argument("--address", metavar="ADDRESS", help="of the far end")
    key.add_argument("--port", metavar="PORT", help="443, tcp/443")


def _end(parser: argparse.ArgumentParser) -> None:
    end = parser.add_mutually_exclusive_group()
    end.add_argument("--for", dest="for_", metavar="DURATION", help="7d, 12h")
    end.add_argument("--until", metavar="TIME", help="15:00, the next time it is that late here")


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--note", metavar="TEXT", help="why; kept with it")
    _config(parser)


def _config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help=f"the sensor's (default: {config.DEFAULT_PATH})")


def _asking(options: argparse.Namespace) -> mutes.Mutes:
    return mutes.Mutes(config.load(options.config), time.time_ns())


def _say(lines: str) -> int:
    print(lines)  # noqa: T201
    return 0


def _make(action: str, options: argparse.Namespace) -> int:
    parts = ("detector", "client", "owner", "domain", "address", "port", "note")
    given = {part: getattr(options, part) for part in parts if getattr(options, part) is not None}
    if not given.keys() - {"note"}:
        raise SensorError(
            f"idlewire {action}: say which alerts: --detector, --client, --owner, --domain, --address, --port"
        )
    return _say(_asking(options).make({"action": action, **given, **_ending(options)}))


def _acknowledge(options: argparse.Namespace) -> int:
    asking = _asking(options)
    return _say(asking.acknowledge(options.alert, options.note) if options.alert else asking.firing())


def _list(options: argparse.Namespace) -> int:
    return _say(_asking(options).listing(past=options.all, as_json=options.json))


def _undo(options: argparse.Namespace) -> int:
    return _say(_asking(options).undo(options.id, options.note))


def _maintenance(options: argparse.Namespace) -> int:
    if options.over:
        return _say(_asking(options).over(options.note))
    note = {"note": options.note} if options.note else {}
    return _say(_asking(options).make({"action": "maintenance", **note, **_ending(options)}))


def _ending(options: argparse.Namespace) -> dict[str, str]:
    if options.until is not None:
        return {"until": ask.until(options.until)}
    return {"for": options.for_} if options.for_ is not None else {}


MUTE_EXAMPLES = """examples:
  sudo idlewire mute --client "Redmi Note" --owner Xiaomi
  sudo idlewire mute --detector new_destination --for 2d --note "new router, learning anew"
  sudo idlewire mute --domain photos.example.com --port 443 --until 18:00

Such alerts stay on the page and in the API, and are told to nobody: for 7 days, unless --for or --until say
otherwise. What still fires when that is over is told then. Needs [web] with a token in the settings of the running
sensor, and the right to read it."""

ALLOW_EXAMPLES = """examples:
  sudo idlewire allow --client Pixel --owner Google --detector idle_drip --note "photo backup that I want"
  sudo idlewire allow --address 2001:db8::1 --for 30d

As mute, but for ever unless you say otherwise. Rules that shall look away up to an amount of data: [[allow]] in the
settings."""

SEEN_EXAMPLES = """examples:
  idlewire acknowledge
  sudo idlewire acknowledge 5c0ffee5c0ffee00 --note "asked the vendor"

Without ALERT it shows the alerts that fire, and their ids. There are no more reminders of an alert that was
acknowledged; its end is still told."""

LIST_EXAMPLES = """examples:
  idlewire mutes
  idlewire mutes --all --json"""

UNDO_EXAMPLES = """examples:
  sudo idlewire unmute 8c0ffee8c0ff --note "it was not that app"

What still fires and was not told is told then."""

PAUSE_EXAMPLES = """examples:
  sudo idlewire maintenance --for 2h --note "moving the router"
  sudo idlewire maintenance --over

Meanwhile people are told nothing, programs only of ends; what still fires when it is over is told then, together."""
