"""Asking the daemon on this box over HTTP, as the commands do that tell it something."""

import http.client
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from sensor.base.text import printable
from sensor.base.times import SECOND
from sensor.config import Config
from sensor.errors import ConfigError, SensorError

SECONDS = 10.0
"""For the daemon's answer."""

MAX_ANSWER = 4_000_000
"""Bytes of it."""

_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Refused(SensorError):
    """The daemon cannot be reached, or did not do what it was asked for."""


class Daemon:
    """The one of these settings."""

    def __init__(self, config: Config) -> None:
        """ConfigError: nobody knows its port."""
        host, _, port = config.web.listen.rpartition(":")
        if port == "0":
            raise ConfigError("web.listen: with port 0 the sensor cannot be found; give it a port")
        host = host.strip("[]")
        self._host, self._port = _WILDCARDS.get(host, host), int(port)

    @property
    def place(self) -> str:
        """`127.0.0.1:8470`."""
        return f"{f'[{self._host}]' if ':' in self._host else self._host}:{self._port}"

    def ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, token: str = ""
    ) -> tuple[int, dict[str, Any]]:
        """(status, JSON object, empty where there is none). SensorError: nobody answers."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=SECONDS)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, _object(response.read(MAX_ANSWER))
        except ConnectionRefusedError:
            why = f"no sensor answers on {self.place}: start it with idlewire run, or check web.listen"
            raise Refused(why) from None
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise Refused(f"no sensor answers on {self.place}: {why}") from None
        finally:
            connection.close()


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


def until(written: str) -> str:
    """As `end_of`, of what stands behind --until. SensorError."""
    try:
        return end_of(written, datetime.now(UTC))
    except (ValueError, OverflowError):
        raise SensorError('--until: expected a time of day like 15:00, or one like "2026-11-24T15:00Z"') from None


def here(written: object, now: int) -> str:
    """An RFC 3339 time of the daemon by the clock of this box: `17:00`, with the day where it is not today's.

    ValueError: it is none. `now`: ns.
    """
    shown = datetime.fromisoformat(str(written)).astimezone()
    today = datetime.fromtimestamp(now // SECOND, UTC).astimezone().date()
    return f"{'' if shown.date() == today else f'{shown:%Y-%m-%d} '}{shown:%H:%M}"


def said(status: int, answer: dict[str, Any]) -> str:
    """Why it did not do it, in its own words."""
    return printable(str(answer.get("error", f"it answered {status}")), 300)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
