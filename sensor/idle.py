"""`idlewire idle`: tells the daemon on this box that nobody uses a client for a while."""

from typing import Any

from sensor.ask import Daemon, Refused, here, said
from sensor.base import tokens
from sensor.base.text import printable
from sensor.config import Config
from sensor.errors import ConfigError

PATH = "/api/v1/foreground/manual"


def state(config: Config, statement: dict[str, str], now: int) -> str:
    """Hands a statement (keys of the API) to the daemon; one line of what now holds. SensorError."""
    token = _token(config)
    daemon = Daemon(config)
    status, answer = daemon.ask("POST", PATH, statement, token)
    return _line(status, answer, daemon.place, now)


def _token(config: Config) -> str:
    manual = next((source for source in config.foreground.sources if source.name == "manual"), None)
    token = "" if manual is None else tokens.read(manual.settings.token, manual.settings.token_file, manual.key)
    if not token:
        raise ConfigError(
            "foreground.manual.token_file: not set, so the sensor takes no statements: put a token into a file "
            "(openssl rand -hex 16), name it under [foreground.manual], and restart the sensor"
        )
    return token


def _line(status: int, answer: dict[str, Any], place: str, now: int) -> str:
    if status == 401:
        raise Refused(
            f"the sensor on {place} does not know this token: it was started with another foreground.manual.token_file"
        )
    if status in (404, 405):
        raise Refused(f"the sensor on {place} runs without [foreground.manual]: restart it")
    if status != 200:
        raise Refused(f"the sensor on {place} did not take that: {said(status, answer)}")
    if answer.get("state") not in ("background", "none"):
        raise Refused(f"what answers on {place} is no sensor: check web.listen")
    client, name = printable(str(answer.get("client"))), printable(str(answer.get("name")))
    who = client if name == client else f"{name} ({client})"
    if answer.get("state") != "background":
        if not answer.get("held_before", True):
            return f"{who}: there was no statement of yours"
        return f"{who}: your statement is over; what its own sources report holds again"
    try:
        end = here(answer.get("until"), now)
    except ValueError:
        raise Refused(f"the sensor on {place} gave an answer that makes no sense") from None
    unseen = "" if answer.get("seen", True) else " (no such client was seen so far)"
    return f"{who}: counts as not in use until {end}{unseen}"
