"""A connection that is made again: pauses, log lines, counts."""

import asyncio
import logging

import pytest

from sensor.foreground.reconnect import FIRST_PAUSE, LAST_PAUSE, STEADY, Connection, ConnectionBroken


class Enough(BaseException):
    """Ends a test's endless loop."""


class Tried:
    """What `keep` did with a script of attempts; time passes only in pauses and where the script says so."""

    def __init__(self, *script: object) -> None:
        self.pauses: list[float] = []
        self.counts: dict[str, int] = {}
        self.now = 0.0
        self._script = list(script)
        self.connection = Connection("lab", self.counts, clock=lambda: self.now, jitter=lambda: 1.0, sleep=self._sleep)

    async def run(self) -> "Tried":
        with pytest.raises(Enough):
            await self.connection.keep(self._attempt)
        return self

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    async def _attempt(self) -> None:
        if not self._script:
            raise Enough
        step = self._script.pop(0)
        if isinstance(step, float):
            self.connection.up()
            self.now += step
        elif isinstance(step, BaseException):
            raise step


async def test_pauses_grow_to_their_cap() -> None:
    tried = await Tried(*[OSError(111, "Connection refused")] * 10).run()
    assert tried.pauses[:4] == [FIRST_PAUSE, 2, 4, 8]
    assert tried.pauses[-3:] == [LAST_PAUSE] * 3
    assert tried.counts == {"connected": 0, "broken": 10}


async def test_pauses_begin_anew_only_after_a_connection_that_stood() -> None:
    tried = await Tried(0.5, 0.5, 0.5, STEADY, 0.5).run()
    assert tried.pauses == [1, 2, 4, 1, 2]


async def test_one_line_when_it_breaks_and_one_when_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await Tried(5.0, OSError(111, "Connection refused"), TimeoutError(), 5.0).run()
    assert caplog.messages == [
        "lab: connected",
        "lab: not connected: closed by the far end",
        "lab: connected again",
        "lab: not connected: closed by the far end",
    ]


async def test_what_the_user_has_to_mend_is_said_once_and_tried_slowly(caplog: pytest.LogCaptureFixture) -> None:
    refused = ConnectionBroken("the token was refused", 600.0)
    tried = await Tried(OSError(111, "Connection refused"), refused, refused, TimeoutError(), refused).run()
    assert caplog.messages == ["lab: not connected: Connection refused", "lab: not connected: the token was refused"]
    assert tried.pauses == [1, 600, 600, 8, 600]


async def test_an_error_that_nobody_foresaw_shows_only_its_kind(caplog: pytest.LogCaptureFixture) -> None:
    await Tried(ValueError("http://user:s3cret@host")).run()
    assert caplog.messages == ["lab: not connected: ValueError"]


async def test_it_can_be_cancelled() -> None:
    connection = Connection("lab", {})
    task = asyncio.ensure_future(connection.keep(asyncio.Event().wait))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
