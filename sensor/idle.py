"""`idlewire idle`: tells the daemon on this box that nobody uses a client for a while."""

import http.client
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from sensor.base import tokens
from sensor.base.text import printable
from sensor.base.times import SECOND
from sensor.config import Config
from sensor.errors import ConfigError, SensorError

SECONDS = 10.0
"""For the daemon's answer."""

MAX_ANSWER = 65_536
"""Bytes of it."""

PATH = "/api/v1/foreground/manual"

_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Refused(SensorError):
    """The daemon did not take the statement."""


def state(config: Config, statement: dict[str, str], now: int) -> str:
    """Hands a statement (keys of the API) to the daemon; one line of what now holds. SensorError."""
    token = _token(config)
    host, port = _place(config)
    place = f"{f'[{host}]' if ':' in host else host}:{port}"
    connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        connection.request("POST", PATH, json.dumps(statement), headers)
        response = connection.getresponse()
        status, raw = response.status, response.read(MAX_ANSWER)
    except ConnectionRefusedError:
        raise Refused(f"no sensor answers on {place}: start it with idlewire run, or check web.listen") from None
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise Refused(f"no sensor answers on {place}: {why}") from None
    finally:
        connection.close()
    return _line(status, _object(raw), place, now)


def end_of(written: str, now: datetime) -> str:
    """RFC 3339 of `15:00` (the next one by the clock of this box) or of a time with its zone. ValueError."""
    found = re.fullmatch(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", written.strip(), re.ASCII)
    if found is None:
        end = datetime.fromisoformat(written)
        if end.tzinfo is None:
            raise ValueError("without a zone")
        return end.isoformat()
    shown = now.astimezone().replace(tzinfo=None)
    end = shown.replace(hour=int(found[1]), minute=int(found[2]), second=0, microsecond=0)
    if end <= shown:
        end += timedelta(days=1)
    return end.astimezone(UTC).isoformat()


def _token(config: Config) -> str:
    manual = next((source for source in config.foreground.sources if source.name == "manual"), None)
    token = "" if manual is None else tokens.read(manual.settings.token, manual.settings.token_file, manual.key)
    if not token:
        raise ConfigError(
            "foreground.manual.token_file: not set, so the sensor takes no statements: put a token into a file "
            "(openssl rand -hex 16), name it under [foreground.manual], and restart the sensor"
        )
    return token


def _place(config: Config) -> tuple[str, int]:
    host, _, port = config.web.listen.rpartition(":")
    if port == "0":
        raise ConfigError("web.listen: with port 0 the sensor cannot be found; give it a port")
    host = host.strip("[]")
    return _WILDCARDS.get(host, host), int(port)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _line(status: int, answer: dict[str, Any], place: str, now: int) -> str:
    said = printable(str(answer.get("error", f"it answered {status}")), 200)
    if status == 401:
        raise Refused(
            f"the sensor on {place} does not know this token: it was started with another foreground.manual.token_file"
        )
    if status in (404, 405):
        raise Refused(f"the sensor on {place} runs without [foreground.manual]: restart it")
    if status != 200:
        raise Refused(f"the sensor on {place} did not take that: {said}")
    if answer.get("state") not in ("background", "none"):
        raise Refused(f"what answers on {place} is no sensor: check web.listen")
    client, name = printable(str(answer.get("client"))), printable(str(answer.get("name")))
    who = client if name == client else f"{name} ({client})"
    if answer.get("state") != "background":
        if not answer.get("held_before", True):
            return f"{who}: there was no statement of yours"
        return f"{who}: your statement is over; what its own sources report holds again"
    try:
        end = datetime.fromisoformat(str(answer.get("until")))
    except ValueError:
        raise Refused(f"the sensor on {place} gave an answer that makes no sense") from None
    shown = end.astimezone()
    day = "" if shown.date() == datetime.fromtimestamp(now // SECOND, UTC).astimezone().date() else f"{shown:%Y-%m-%d} "
    unseen = "" if answer.get("seen", True) else " (no such client was seen so far)"
    return f"{who}: counts as not in use until {day}{shown:%H:%M}{unseen}"
