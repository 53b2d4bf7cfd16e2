"""What a chat plug-in is: something that takes one alert and delivers it, or says why not."""

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar

from sensor.base.registry import Registry
from sensor.deliver.notice import Notice
from sensor.errors import DeliveryError

MAX_HEADER = 100
"""Characters of a Retry-After header that are looked at."""


class SinkGone(DeliveryError):
    """The far end says that it does not want to hear from us again (HTTP 410)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retry=False)


class Sink(ABC):
    """One configured receiver, made as `plugin(name, settings, version)`. A file in `chat/` sets `PLUGIN` to its own.

    Order of calls: constructor (touches nothing), `prepare` (still with the rights that the sensor was started
    with), `open`, any number of `send`, `close`.
    """

    settings_type: ClassVar[type[Any]]
    """A frozen dataclass: the keys of [[sink]] that only this type has."""
    groups: ClassVar[bool] = True
    """It takes messages that tell of several alerts; False: programs read it, it gets each alert alone, at once."""
    renew_seconds: ClassVar[float | None] = None
    """From one `renew` to the next; None: the service remembers what it was told."""
    pause: ClassVar[float] = 1.0
    """Seconds from one message to the next at least: the service's limit, with its source beside it."""

    def __init__(self, name: str, version: str) -> None:
        """`name`: as configured, for logs and metrics; `version`: the sensor's."""
        self.name = name
        self.version = version

    def prepare(self) -> None:  # noqa: B027  # most sinks have no secret in a file
        """Read secrets out of files. ConfigError: they cannot be read."""

    async def open(self) -> None:  # noqa: B027  # some sinks need no connection
        """Get ready to send, without sending."""

    @abstractmethod
    async def send(self, notice: Notice, earlier: str | None) -> str | None:
        """Deliver one message, within 20 s; called by one outbox, one at a time.

        `earlier`: what the last delivered message of the same key returned: it may be edited or answered. Returns the
        same for this message; None where the service has nothing to hold on to.

        DeliveryError: it did not arrive; `retry` says whether trying again can help. SinkGone: never again.
        Its text goes to the log: no secret in it.
        """

    async def renew(self, firing: Sequence[Notice]) -> None:  # noqa: B027
        """Say again all that goes on, one notice an alert, to a service that forgets; order and errors as of `send`."""

    async def close(self) -> None:  # noqa: B027
        """Let go of what `open` took."""


def retry_after(header: str | None) -> float | None:
    """Seconds out of a Retry-After header (RFC 9110 section 10.2.3), as the far end wants it; None: it says nothing."""
    if header is None or len(header) > MAX_HEADER:
        return None
    header = header.strip()
    if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", header):
        return float(header)
    try:
        return parsedate_to_datetime(header).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError, OSError):
        return None


SINKS: Registry[Sink] = Registry("sensor.deliver.chat", "sink type")
"""The files in `chat/`."""
