import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from sensor import lifecycle
from sensor.errors import SensorError
from sensor.lifecycle import Part, run


class Diary:
    """Parts that write down what happens to them."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> Callable[[], Awaitable[None]]:
        async def hook() -> None:
            self.lines.append(line)

        return hook

    def part(self, name: str, **hooks: Callable[[], Awaitable[None]]) -> Part:
        plain = {
            "start": self.note(f"+{name}"),
            "run": forever,
            "drain": self.note(f"~{name}"),
            "stop": self.note(f"-{name}"),
        }
        return Part(name, **{**plain, **hooks})


async def forever() -> None:
    await asyncio.Event().wait()


async def returns() -> None:
    pass


def fails(error: Exception) -> Callable[[], Awaitable[None]]:
    async def hook() -> None:
        raise error

    return hook


@pytest.fixture
def diary() -> Diary:
    return Diary()


async def run_until_up(parts: list[Part], stop: asyncio.Event) -> None:
    """`run`, with `stop` set once everything is up."""
    asyncio.get_running_loop().call_later(0.05, stop.set)
    await run(parts, stop)


async def test_a_signal_stops_what_started_last_first(diary: Diary) -> None:
    await run_until_up([diary.part("outbox"), diary.part("web"), diary.part("capture")], asyncio.Event())
    assert diary.lines == ["+outbox", "+web", "+capture", "~capture", "-capture", "~web", "-web", "~outbox", "-outbox"]
    assert len(asyncio.all_tasks()) == 1


async def test_an_outbox_still_sends_while_it_drains(diary: Diary) -> None:
    queue: asyncio.Queue[str] = asyncio.Queue()
    sent = []

    async def send() -> None:
        while True:
            sent.append(await queue.get())
            queue.task_done()

    async def last_alert() -> None:
        queue.put_nowait("last alert")

    await run_until_up(
        [diary.part("outbox", run=send, drain=queue.join), diary.part("capture", drain=last_alert)], asyncio.Event()
    )
    assert sent == ["last alert"]


async def test_a_part_that_crashes_ends_the_daemon_with_its_own_error(diary: Diary) -> None:
    crash = fails(OSError("the interface is gone"))
    with pytest.raises(OSError, match="the interface is gone"):
        await run([diary.part("web"), diary.part("capture", run=crash)], asyncio.Event())
    assert diary.lines == ["+web", "+capture", "-capture", "~web", "-web"]


async def test_a_part_that_returns_ended_by_itself(diary: Diary) -> None:
    with pytest.raises(SensorError, match="web ended by itself"):
        await run([diary.part("web", run=returns), diary.part("capture")], asyncio.Event())
    assert [line for line in diary.lines if "web" in line] == ["+web", "-web"]


async def test_a_part_may_return_when_it_was_told_to_stop(diary: Diary) -> None:
    stop = asyncio.Event()

    async def until_stop() -> None:
        await stop.wait()

    await run_until_up([diary.part("capture", run=until_stop)], stop)
    assert diary.lines == ["+capture", "-capture"]


async def test_where_a_start_fails_only_what_was_started_is_stopped(diary: Diary) -> None:
    start = fails(OSError("no such interface"))
    with pytest.raises(OSError, match="no such interface"):
        await run([diary.part("web"), diary.part("capture", start=start), diary.part("late")], asyncio.Event())
    assert diary.lines == ["+web", "~web", "-web"]


async def test_a_stop_during_a_slow_start_does_not_wait_for_it(diary: Diary) -> None:
    await run_until_up([diary.part("web"), diary.part("capture", start=forever)], asyncio.Event())
    assert diary.lines == ["+web", "~web", "-web"]


async def test_a_crash_during_anothers_slow_start_ends_the_daemon(diary: Diary) -> None:
    crash = fails(OSError("address in use"))
    with pytest.raises(OSError, match="address in use"):
        await run([diary.part("web", run=crash), diary.part("capture", start=forever)], asyncio.Event())
    assert diary.lines == ["+web", "-web"]


async def test_parts_without_hooks_are_fine() -> None:
    await run_until_up([Part("nothing")], asyncio.Event())


async def test_a_stop_that_was_set_before_starts_nothing_more(diary: Diary) -> None:
    stop = asyncio.Event()
    stop.set()
    await run([diary.part("web"), diary.part("capture")], stop)
    assert "+capture" not in diary.lines


async def test_nothing_holds_up_the_end(
    diary: Diary, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lifecycle, "DRAIN_SECONDS", 0.1)
    monkeypatch.setattr(lifecycle, "STOP_SECONDS", 0.1)

    async def deaf() -> None:
        for _ in range(2):
            try:
                await asyncio.sleep(0.3)
            except asyncio.CancelledError:
                continue

    begun = asyncio.get_running_loop().time()
    parts = [diary.part(name, run=deaf, drain=forever, stop=forever) for name in ("a", "b", "c")]
    await run_until_up([diary.part("first"), *parts], asyncio.Event())
    assert asyncio.get_running_loop().time() - begun < 0.7
    assert diary.lines[-2:] == ["~first", "-first"]
    assert "c drain did not end in time" in caplog.text
    assert "c could not be cancelled" in caplog.text
    await asyncio.sleep(0.4)  # the deaf ones end by themselves


async def test_the_whole_end_fits_into_five_seconds() -> None:
    assert lifecycle.DRAIN_SECONDS + lifecycle.STOP_SECONDS < 4.5


async def test_an_error_on_the_way_down_keeps_no_other_part_up(diary: Diary, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    first, second = fails(OSError("first")), fails(ValueError("second"))
    with pytest.raises(OSError, match="first"):
        await run_until_up([diary.part("web", stop=second), diary.part("capture", drain=first)], asyncio.Event())
    assert diary.lines == ["+web", "+capture", "-capture", "~web"]
    assert "web stop failed too: second" in caplog.text


async def test_a_cancelled_run_takes_the_parts_down(diary: Diary) -> None:
    task = asyncio.ensure_future(run([diary.part("web")], asyncio.Event()))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert diary.lines == ["+web", "~web", "-web"]
