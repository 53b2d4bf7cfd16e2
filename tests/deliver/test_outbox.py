"""Order, retries, the cap and the end, with a scripted sink and a real store; time is virtual."""

import asyncio
import logging
import sqlite3

import pytest

from sensor.deliver import outbox as module
from sensor.deliver.outbox import GIVE_UP_SECONDS, Outbox
from sensor.deliver.sink import SinkGone
from sensor.errors import DeliveryError
from tests.deliver.letters import Scripted, built, down, notice, running, until


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outbox.db"


async def test_delivers_in_order_once_and_says_what_went_before(path):
    sink = Scripted()
    async with running(built(path, sink)) as delivery:
        for one in (notice("a"), notice("b"), notice("a", "resolved"), notice("a")):
            delivery.put(one)
    assert sink.got == ["a.firing", "b.firing", "a.resolved"]
    assert sink.earlier == [None, None, "ref-a.firing"]
    assert delivery.outboxes[0].outcomes.delivered == 3
    assert delivery.journal.repeated == 1


async def test_below_the_floor_is_not_sent(path):
    sink = Scripted()
    async with running(built(path, sink, min_severity="warning")) as delivery:
        delivery.put(notice("a", severity="info"))
        delivery.put(notice("b", severity="critical"))
    assert sink.calls == ["b.firing"]


async def test_programs_get_alerts_alone(path):
    person, program = Scripted(name="person"), Scripted(name="program", groups=False)
    async with running(built(path, person, program)) as delivery:
        for kind in ("alert", "group", "digest", "rest", "test"):
            delivery.put(notice(kind, kind=kind))
    assert len(person.got) == 5
    assert program.got == ["alert.firing", "test.firing"]


async def test_stored_before_the_first_attempt(path):
    class Looking(Scripted):
        async def send(self, notice, earlier):
            [letter] = delivery.outboxes[0].letters()
            self.numbers = letter.number
            return await super().send(notice, earlier)

    sink = Looking()
    async with running(built(path, sink)) as delivery:
        delivery.put(notice())
    assert sink.numbers is not None


async def test_retries_back_off_and_keep_the_order_of_a_key(path):
    sink = Scripted(*[down()] * 11)
    async with running(built(path, sink)) as delivery:
        delivery.put(notice("a"))
        delivery.put(notice("a", "resolved"))
        await until(lambda: len(sink.got) == 2)
    [outbox] = delivery.outboxes
    assert outbox.pauses == [1, 2, 1, 2, 4, 8, 16, 32, 60, 60, 60], "from the third on it is the sink that is looked at"
    assert sink.got == ["a.firing", "a.resolved"]
    assert outbox.outcomes.retried == 11


async def test_one_that_fails_holds_up_no_other_key(path):
    """A 500 for one message only: the others arrive meanwhile, those of its own key wait."""
    sink = Scripted()
    sink.broken_keys["poison"] = down()
    async with running(built(path, sink)) as delivery:
        delivery.put(notice("poison"))
        delivery.put(notice("poison", "resolved"))
        for number in range(20):
            delivery.put(notice(f"n{number}"))
        await until(lambda: len(sink.got) == 20)
        assert sink.got == [f"n{number}.firing" for number in range(20)]
        sink.broken_keys.clear()
        await until(lambda: len(sink.got) == 22)
    assert sink.got[20:] == ["poison.firing", "poison.resolved"]


@pytest.mark.parametrize("wanted", [0, -5, 1e9, 7, float("-inf"), 3600])
async def test_retry_after_holds_the_whole_sink_within_reason(path, wanted):
    """O3."""
    sink = Scripted(down(wanted))
    async with running(built(path, sink)) as delivery:
        delivery.put(notice("a"))
        delivery.put(notice("b"))
        await until(lambda: len(sink.got) == 2)
    assert delivery.outboxes[0].pauses == [min(max(wanted, 1), 3600)]
    assert sink.got == ["a.firing", "b.firing"]


async def test_refused_is_dead_and_costs_nobody_else(path):
    sink = Scripted(DeliveryError("no", retry=False))
    async with running(built(path, sink)) as delivery:
        delivery.put(notice("a"))
        delivery.put(notice("b"))
        await until(lambda: sink.got)
        await delivery.journal.flushed()
        [dead] = await delivery.dead_letters()
        assert (dead.notice, dead.error, dead.attempts) == ("a.firing", "no", 1)
        assert delivery.journal.dead == {"lab": 1}
    assert sink.calls == ["a.firing", "b.firing"]
    assert delivery.outboxes[0].outcomes.refused == 1


async def test_a_broken_sink_costs_its_message_not_the_sensor(path, caplog):
    sink = Scripted(KeyError("https://hooks/s3cret"))
    async with running(built(path, sink)) as delivery:
        delivery.put(notice("a"))
        delivery.put(notice("b"))
        await until(lambda: sink.got)
        await delivery.journal.flushed()
        assert [dead.error for dead in await delivery.dead_letters()] == ["broken: KeyError"]
    assert "KeyError" in caplog.text
    assert "s3cret" not in caplog.text


async def test_a_hanging_sink_is_interrupted_and_delays_no_other(path, monkeypatch):
    """O6."""

    class Hanging(Scripted):
        async def send(self, notice, earlier):
            self.calls.append(notice.id)
            if len(self.calls) == 1:
                await asyncio.Event().wait()
            return await super().send(notice, earlier)

    monkeypatch.setattr(module, "SEND_SECONDS", 0.1)
    hanging, healthy = Hanging(name="hanging"), Scripted(name="healthy")
    async with running(built(path, hanging, healthy)) as delivery:
        delivery.put(notice())
        await until(lambda: healthy.got)
        assert not hanging.got
        await until(lambda: hanging.got)


async def test_seven_days_down(path, caplog):
    """O1: what is three days old is given up, shown and can be sent by hand; what is younger arrives, in order."""
    caplog.set_level(logging.DEBUG, "sensor")
    sink = Scripted()
    sink.always = down()
    async with running(built(path, sink)) as delivery:
        [outbox] = delivery.outboxes
        for number in range(5):
            delivery.put(notice(f"old{number}"))
        begin = outbox._clock.now
        await until(lambda: outbox.outcomes.expired == 5)
        assert GIVE_UP_SECONDS <= outbox._clock.now - begin <= GIVE_UP_SECONDS + 120
        for number in range(5):
            delivery.put(notice(f"new{number}"))
            delivery.put(notice(f"new{number}", "resolved"))
        await until(lambda: outbox._clock.now - begin > GIVE_UP_SECONDS + 7200)
        sink.always = None
        await until(lambda: outbox.outcomes.delivered == 10)
        await delivery.journal.flushed()
        dead = await delivery.dead_letters()
        assert [(each.notice, each.error) for each in dead] == [(f"old{number}.firing", "down") for number in range(5)]
        assert await delivery.replay(dead[2].number, None) == 1
        assert await delivery.replay(None, "lab") == 4
        await until(lambda: outbox.outcomes.delivered == 15)
    for number in range(5):
        assert sink.got.index(f"new{number}.firing") < sink.got.index(f"new{number}.resolved")
    rest = [each for each in sink.got[1:] if each.startswith("new") and each.endswith("firing")]
    assert rest == sorted(rest), "all but the one that found the sink well again"
    assert sink.got[10] == "old2.firing"
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1, "one line when it begins to fail, not one per attempt"
    assert "delivers again" in caplog.text


async def test_full_drops_the_oldest_of_the_lowest_severity(path, monkeypatch):
    """O11."""
    monkeypatch.setattr(module, "MAX_WAITING", 6)
    sink = Scripted()
    sink.always = down(3600)
    delivery = built(path, sink, kind=Outbox)
    for key, severity in (
        ("i1", "info"),
        ("w1", "warning"),
        ("i2", "info"),
        *((f"c{n}", "critical") for n in range(3)),
    ):
        delivery.put(notice(key, severity=severity))
    [outbox] = delivery.outboxes
    dropped = []
    for number in range(4):
        before = {each.key for each in outbox.letters()}
        delivery.put(notice(f"x{number}", severity="critical"))
        dropped += before - {each.key for each in outbox.letters()}
    assert dropped == ["i1", "i2", "w1", "c0"]
    delivery.put(notice("late", severity="info"))
    assert "late" not in {each.key for each in outbox.letters()}
    assert (outbox.waiting, outbox.outcomes.dropped) == (6, 5)
    async with running(delivery):
        await until(lambda: all(each.number for each in outbox.letters()))
        outbox.make_room()
        await delivery.journal.flushed()
    sink = Scripted()
    async with running(built(path, sink)) as delivery:
        await until(lambda: len(sink.got) == 5)
    assert sink.got[-4:] == [f"x{number}.firing" for number in range(4)]


async def test_gone_for_good_is_told_to_the_others(path):
    """O5: 410 disables the sink; what waited is kept, dead, and a second sink says so."""
    gone, other = Scripted(SinkGone("answered 410"), name="gone"), Scripted(name="other")
    async with running(built(path, gone, other)) as delivery:
        delivery.put(notice("a"))
        delivery.put(notice("b"))
        await until(lambda: len(other.got) == 3)
        delivery.put(notice("c"))
        await until(lambda: len(other.got) == 4)
        await delivery.journal.flushed()
        assert [each.key for each in await delivery.dead_letters()] == ["a", "b", "c"]
        with pytest.raises(LookupError):
            await delivery.replay(None, "gone")
        assert await delivery.replay(None, None) == 0
    assert gone.calls == ["a.firing"]
    assert other.got[2].startswith("sink.gone.")
    assert delivery.outboxes[0].outcomes.gone == 3
    mended = Scripted(name="gone")
    async with running(built(path, mended, Scripted(name="other"))) as delivery:
        assert await delivery.replay(None, "gone") == 3
        await until(lambda: len(mended.got) == 3)
    assert mended.got == ["a.firing", "b.firing", "c.firing"]


async def test_restart_sends_what_waited_and_nothing_twice(path):
    """O7, O9: firing arrived before the restart, resolved comes after it, whoever says firing again."""
    first, second = Scripted(), Scripted()
    async with running(built(path, first, kind=Outbox)) as delivery:
        delivery.put(notice("a"))
        delivery.put(notice("b"))
        await until(lambda: len(first.got) == 2)
        first.always = down(3600)
        delivery.put(notice("b", "resolved"))
        await until(lambda: len(first.calls) == 3)
    async with running(built(path, second)) as delivery:
        for key in "ab":
            delivery.put(notice(key))
        delivery.put(notice("a", "resolved"))
        delivery.put(notice("b", "resolved"))
        await until(lambda: len(second.got) == 2)
        await delivery.journal.flushed()
    assert second.got == ["b.resolved", "a.resolved"]
    assert second.earlier == ["ref-b.firing", "ref-a.firing"], "so that it can be edited"
    assert delivery.outboxes[0].outcomes.delivered == 2


async def test_what_was_under_way_is_sent_again_with_the_same_id(path):
    """O2."""

    class Stuck(Scripted):
        async def send(self, notice, earlier):
            self.calls.append(notice.id)
            await asyncio.Event().wait()

    stuck, sink = Stuck(), Scripted()
    async with running(built(path, stuck), drain=False) as delivery:
        delivery.put(notice("a"))
        await until(lambda: stuck.calls)
    async with running(built(path, sink)):
        await until(lambda: sink.got)
    assert stuck.calls == sink.got == ["a.firing"]


async def test_messages_for_a_sink_that_is_no_longer_configured_are_dead(path):
    old = Scripted(name="old")
    old.always = down(3600)
    async with running(built(path, old, kind=Outbox)) as delivery:
        delivery.put(notice("a"))
        await until(lambda: old.calls)
    async with running(built(path, Scripted(name="new"))) as delivery:
        await delivery.journal.flushed()
        assert [each.error for each in await delivery.dead_letters()] == ["no sink of that name is configured any more"]


async def test_a_year_forward_or_back_by_the_wall_clock_changes_nothing(path, monkeypatch):
    """T7: a try is due when the monotonic clock says so."""
    sink = Scripted(down(), down())
    async with running(built(path, sink)) as delivery:
        [outbox] = delivery.outboxes
        year = 365 * 86_400 * 10**9
        walls = iter([year, -year, 0, year])
        outbox._wall = lambda: 1_790_000_000_000_000_000 + next(walls)
        delivery.put(notice())
        await until(lambda: sink.got)
    assert outbox.pauses == [1, 2]


async def test_the_services_limit_is_kept_between_messages(path):
    sink = Scripted()
    sink.pause = 1.5
    async with running(built(path, sink)) as delivery:
        for key in "abc":
            delivery.put(notice(key))
        await until(lambda: len(sink.got) == 3)
    assert delivery.outboxes[0].pauses[:2] == [1.5, 1.5]


async def test_a_message_that_cannot_be_read_any_more_is_counted(path):
    sink = Scripted()
    sink.always = down(3600)
    async with running(built(path, sink, kind=Outbox)) as delivery:
        delivery.put(notice("a"))
        await until(lambda: sink.calls)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE notice SET body = '{\"id\": 1'")
    connection.close()
    sink = Scripted()
    async with running(built(path, sink)) as delivery:
        delivery.put(notice("b"))
        await until(lambda: sink.got)
        await until(lambda: delivery.outboxes[0].outcomes.lost == 1)
    assert sink.got == ["b.firing"]


async def test_hostile_ids_and_titles_are_stored(path, examples):
    sink = Scripted()
    async with running(built(path, sink)) as delivery:
        for payload in examples.payloads:
            delivery.put(notice(payload, title=payload))
        await until(lambda: len(sink.got) == len(examples.payloads))
    assert sorted(sink.got) == sorted(f"{payload}.firing" for payload in examples.payloads)


async def test_another_sink_takes_what_waits_at_once(path):
    """However long the one before it made the messages wait."""
    old, new = Scripted(), Scripted()
    old.always = down(3_600)
    async with running(built(path, old)) as delivery:
        delivery.put(notice("a"))
        [outbox] = delivery.outboxes
        await until(lambda: old.calls)
        outbox.retarget(new, "critical")
        await until(lambda: new.got)
        delivery.put(notice("b"))
        await until(lambda: old.closed)
    assert (new.got, outbox.sink, outbox.gone) == (["a.firing"], new, None)


async def test_a_sink_that_was_gone_for_good_may_be_replaced(path):
    old, new = Scripted(SinkGone("no more")), Scripted()
    async with running(built(path, old)) as delivery:
        delivery.put(notice("a"))
        [outbox] = delivery.outboxes
        await until(lambda: outbox.gone)
        outbox.retarget(new, "info")
        await until(lambda: outbox.gone is None)
        delivery.put(notice("b"))
        await until(lambda: new.got == ["b.firing"])


async def test_a_sink_that_is_taken_out_leaves_dead_letters(path):
    sink, other = Scripted(), Scripted(name="other")
    sink.always = down()
    async with running(built(path, sink, other)) as delivery:
        gone, stays = delivery.outboxes
        delivery.put(notice("a"))
        await until(lambda: sink.calls)
        delivery.retune([stays])
        await until(lambda: sink.closed)
        delivery.put(notice("b"))
        await until(lambda: other.got == ["a.firing", "b.firing"])
        await delivery.journal.flushed()
        assert [(each.sink, each.error) for each in await delivery.dead_letters()] == [
            ("lab", "no sink of that name is configured any more")
        ]
        assert (gone.waiting, gone.outcomes.gone) == (0, 1)
