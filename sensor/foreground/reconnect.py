"""A connection that is made again whenever it breaks, with growing pauses; it logs when it breaks and is back."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable

FIRST_PAUSE, LAST_PAUSE = 1.0, 60.0
"""Seconds; the pause doubles from the first to the last."""

STEADY = 60.0
"""Seconds that a connection must have stood for the pauses to begin anew."""

log = logging.getLogger(__name__)


class ConnectionBroken(Exception):
    """Why there is no connection, in words that may be logged; `pause`: about how many seconds to wait at least."""

    def __init__(self, why: str, pause: float = 0.0) -> None:
        super().__init__(why)
        self.pause = pause


class Connection:
    """Keeps one connection of a source; all calls on one event loop."""

    def __init__(
        self,
        name: str,
        counts: dict[str, int],
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`counts` gets `connected` and `broken`; `clock`: monotonic seconds; `jitter`: 0 .. 1."""
        self.is_up = False
        self._name = name
        self._counts = counts
        self._clock = clock
        self._jitter = jitter
        self._sleep = sleep
        self._since = 0.0
        self._said: set[str] = set()
        """What was complained of since it was up; the kinds are few."""
        counts.update(connected=0, broken=0)

    def up(self) -> None:
        """The far end has let us in; called by `attempt`."""
        self.is_up, self._since = True, self._clock()
        self._counts["connected"] += 1
        log.info("%s: connected%s", self._name, " again" if self._said else "")
        self._said.clear()

    async def keep(self, attempt: Callable[[], Awaitable[None]]) -> None:
        """Runs `attempt`, which connects and stays, again and again until cancelled; nothing it raises gets out."""
        pause = FIRST_PAUSE
        while True:
            least = await self._once(attempt)
            if self.is_up and self._clock() - self._since >= STEADY:
                pause = FIRST_PAUSE
            self.is_up = False
            await self._sleep(max(pause, least) * (0.5 + self._jitter() / 2))
            pause = min(pause * 2, LAST_PAUSE)

    async def _once(self, attempt: Callable[[], Awaitable[None]]) -> float:
        """About how many seconds to wait at least before the next one."""
        least = 0.0
        try:
            await attempt()
            why = "closed by the far end"
        except ConnectionBroken as error:
            why, least = str(error), error.pause
        except TimeoutError:
            why = "no answer"
        except Exception as error:  # noqa: BLE001  # whatever a library raises may cost a connection, never the sensor
            # The text of an unforeseen error may hold a token or a URL; its kind and the system's words do not.
            why = getattr(error, "strerror", None) or type(error).__name__
        self._counts["broken"] += 1
        # One line per outage; and one for what the user has to mend, though it be found out during an outage.
        kind = why if least else ""
        log.log(logging.DEBUG if kind in self._said else logging.WARNING, "%s: not connected: %s", self._name, why)
        self._said.add(kind)
        return least
