"""Whether the servers that the configuration names can be reached: a connection, and not a word over it."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sensor.base.text import printable
from sensor.config import Config

SECONDS = 5.0
"""For a name and a connection."""

FIXED = {"pushover": ("api.pushover.net", 443)}
"""Services whose address is in no setting."""

PORTS = {"https": 443, "http": 80, "mqtt": 1883}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server that a setting names; only host and port of a URL, whose rest may be a secret."""

    about: str
    host: str | None
    """None: it cannot be told from the settings."""
    port: int


@dataclass(frozen=True, slots=True)
class Reached:
    """What came of a connection."""

    endpoint: Endpoint
    error: str | None
    """None: it was taken."""


def endpoints(config: Config) -> Iterator[Endpoint]:
    """Of all sinks and sources that connect to somebody."""
    for sink in config.sink:
        host, port = FIXED.get(sink.type, (None, 0))
        host, port = _place(sink.settings) if host is None else (host, port)
        yield Endpoint(f"sink {sink.name}", host, port)
    for source in config.foreground.sources:
        host, port = _place(source.settings)
        if host is not None:
            yield Endpoint(source.key, host, port)


def reach(endpoint: Endpoint) -> Reached:
    """Connects and hangs up."""
    if endpoint.host is None:
        return Reached(endpoint, None)
    try:
        with socket.create_connection((endpoint.host, endpoint.port), SECONDS):
            return Reached(endpoint, None)
    except (OSError, UnicodeError) as error:
        return Reached(endpoint, printable(getattr(error, "strerror", None) or str(error) or "no answer", 100))


def _place(settings: Any) -> tuple[str | None, int]:
    """(host, port) by what the settings call it: url (or its file), server, host."""
    url = getattr(settings, "url", "") or _content(getattr(settings, "url_file", "")) or getattr(settings, "server", "")
    if url:
        try:
            parts = urlsplit(url)
            return parts.hostname, parts.port or PORTS.get(parts.scheme, 443)
        except ValueError:
            return None, 0
    host = getattr(settings, "host", None)
    return (str(host) if host else None), int(getattr(settings, "port", 0) or _usual_port(settings))


def _usual_port(settings: Any) -> int:
    """Where the settings leave it out: of mail by its security, else of MQTT."""
    security = getattr(settings, "security", None)
    if security is not None:
        return {"tls": 465, "none": 25}.get(security, 587)
    return 8883 if getattr(settings, "tls", False) else 1883


def _content(name: str) -> str:
    try:
        return Path(name).read_text(errors="replace")[:4_096].strip() if name else ""
    except OSError:
        return ""
