"""Phone states from a file: JSON lines, handed on as packet time reaches them (`replay --foreground`, `backtest`)."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sensor.base.addresses import address_text, mac_text, parse_address, parse_mac
from sensor.base.fields import Label, is_mac
from sensor.base.text import printable
from sensor.base.times import SECOND
from sensor.errors import DataError
from sensor.foreground.base import believed
from sensor.model.foreground import EVENTS, Report

MAX_LINE = 4_096
"""Bytes of one line."""

MAX_REPORTS = 1_000_000
"""Lines of one file."""

KEYS = ("time", "client", "source", "event", "app", "received", "sequence", "interval")
"""`time` is when it happened by the source's clock; `received` (when the sensor heard of it; else `time`), `sequence`
and `interval` (seconds between heartbeats or polls) may be left out, and so may `app`."""


_EXPECTED_TIME = "expected seconds since 1970, as in 1790000000.0"

NO_OBJECT = 'expected an object such as {"time": 1790000000.0, "client": "60:38:e0:c5:35:a0", "event": "screen_off"}'


def read_reports(path: Path, called: Mapping[str, str]) -> list[Report]:
    """The file's reports by time of receipt; `called`: name -> client id. DataError naming the line."""
    reports = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_LINE + 2), b""), 1):
                try:
                    text = _text(line, first=number == 1)
                    if text.strip():
                        reports.append(parse_report(text, called))
                except ValueError as error:
                    raise DataError(f"{path}: line {number}: {error}") from None
                if len(reports) > MAX_REPORTS:
                    raise DataError(f"{path}: more than {MAX_REPORTS:,} reports")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    return sorted(reports, key=lambda report: report.received_at)


def parse_report(line: str, called: Mapping[str, str]) -> Report:
    """One line. ValueError with a text for the user."""
    try:
        value: Any = json.loads(line, parse_constant=_refuse, object_pairs_hook=_object)
    except _Twice as error:
        raise ValueError(f'key "{printable(str(error), 40)}" comes twice') from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {printable(str(error), 80)}") from None
    if not isinstance(value, dict):
        raise ValueError(NO_OBJECT)  # noqa: TRY004  # the user's mistake, not the caller's
    unknown = [key for key in value if key not in KEYS]
    if unknown:
        raise ValueError(f'unknown key "{printable(unknown[0], 40)}"; known: {", ".join(KEYS)}')
    observed = _moment(value, "time")
    if observed is None:
        raise ValueError(f"time: missing; {_EXPECTED_TIME}")
    received = _moment(value, "received")
    event = value.get("event")
    if event not in EVENTS:
        raise ValueError(f"event: expected one of {', '.join(EVENTS)}")
    received = observed if received is None else received
    return Report(
        client=client_id(value.get("client"), called),
        source=str(_label(value.get("source", "push"), "source")),
        event=event,
        app=None if value.get("app") is None else str(_label(value["app"], "app")),
        observed_at=believed(observed, received),
        received_at=received,
        sequence=_whole(value, "sequence"),
        interval=_moment(value, "interval", "expected seconds from one report to the next, as in 900") or None,
    )


def client_id(text: object, called: Mapping[str, str]) -> str:
    """A client's id by its MAC, its address where it has none, or its configured name. ValueError."""
    if isinstance(text, str):
        if text in called:
            return called[text]
        if is_mac(text):
            return mac_text(parse_mac(text))
        try:
            return address_text(parse_address(text))
        except ValueError:
            pass
    raise ValueError("client: expected a MAC like 60:38:e0:c5:35:a0, or a name under [[client]]")


class Reporter:
    """Hands the reports on in time."""

    def __init__(self, reports: list[Report], report: Callable[[Report], object]) -> None:
        self._reports = reports
        self._report = report
        self._next = 0

    def advance(self, until: int) -> None:
        """Hands on what was received before `until` ns."""
        while self._next < len(self._reports) and self._reports[self._next].received_at < until:
            self._report(self._reports[self._next])
            self._next += 1


class _Twice(ValueError):
    """A key of an object comes twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _Twice(next(key for key in keys if keys.count(key) > 1))
    return value


def _text(line: bytes, *, first: bool) -> str:
    """Without the line's end; nor the mark that some editors begin a file with."""
    if len(line.rstrip(b"\r\n")) > MAX_LINE:
        raise ValueError(f"longer than {MAX_LINE} bytes")
    try:
        return line.decode("utf-8-sig" if first else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError("not UTF-8 text") from None


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _label(value: object, key: str) -> Label:
    if not isinstance(value, str):
        raise ValueError(f"{key}: expected text")  # noqa: TRY004
    try:
        return Label(value)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _whole(value: Mapping[str, Any], key: str) -> int | None:
    number = value.get(key)
    if number is None:
        return None
    if type(number) is not int or not 0 <= number < 2**63:
        raise ValueError(f"{key}: expected a whole number")
    return number


def _moment(value: Mapping[str, Any], key: str, expected: str = _EXPECTED_TIME) -> int | None:
    number = value.get(key)
    if number is None:
        return None
    if type(number) not in (int, float) or not 0 <= number < 4_102_444_800:
        raise ValueError(f"{key}: {expected}")
    return round(number * 1000) * (SECOND // 1000) if isinstance(number, float) else number * SECOND
