"""A person's own word: until when it holds, and that it outlives a restart."""

import asyncio
import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sensor.config import parse
from sensor.errors import ConfigError
from sensor.foreground.base import SourceFacts
from sensor.foreground.book import ForegroundBook
from sensor.foreground.fusion import Rules
from sensor.foreground.posts import JSON
from sensor.foreground.sources.manual import MAX_STATEMENTS, Manual
from sensor.foreground.statements import Statement, read_statements, write_statements
from sensor.model.foreground import Report
from sensor.model.posted import Answer, Posted

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
NOW = 1_790_000_000 * SECOND
PHONE = "60:38:e0:c5:35:a0"
TOKEN = "a-token-of-the-owner"


class Box:
    """The source with a book behind it."""

    def __init__(self, state_dir: Path | None = None, *, now: int = NOW, **keys: Any) -> None:
        settings = parse(
            {
                "client": [{"mac": PHONE, "name": "Redmi Note"}],
                "foreground": {"manual": {"token": TOKEN, **keys}},
            }
        )
        [chosen] = settings.foreground.sources
        self.now = now
        self.book = ForegroundBook(Rules())
        self.source: Manual = chosen.plugin(
            chosen.settings,
            SourceFacts(
                self.book.report,
                lambda: self.now,
                called=lambda client: settings.client_names.get(client, client),
                ids={"Redmi Note": PHONE},
                whose={"192.168.1.9": PHONE}.get,
                seen=lambda client: client == PHONE,
                withdraw=lambda client, source: self.book.withdraw(client, source, self.now),
                state_dir=state_dir,
            ),
        )  # type: ignore[assignment]
        self.source.prepare()

    def say(self, token: str = TOKEN, **body: Any) -> Answer:
        return self.source.accept(Posted(json.dumps(body).encode(), JSON, f"Bearer {token}"), self.now)

    def state(self, after: int = 0) -> str:
        return self.book.at(PHONE, self.now + after).state


def test_background_for_two_hours_and_not_longer() -> None:
    box = Box()
    answer = box.say(client="Redmi Note", state="background", **{"for": "2h"})
    assert (answer.status, answer.body) == (
        200,
        {
            "accepted": True,
            "client": PHONE,
            "name": "Redmi Note",
            "state": "background",
            "until": "2026-09-21T16:13:20.000000Z",
            "seen": True,
            "held_before": False,
        },
    )
    assert [box.state(after) for after in (0, HOUR, 2 * HOUR - 1, 2 * HOUR)] == ["background"] * 3 + ["unknown"]


def test_an_address_stands_for_the_client_that_has_it() -> None:
    box = Box()
    answer = box.say(client="192.168.1.9", state="background", **{"for": "2h"})
    assert (answer.status, answer.body["client"]) == (200, PHONE)
    assert box.state() == "background"
    assert box.say(client="192.168.1.77", state="background", **{"for": "2h"}).status == 400


def test_it_says_whether_the_client_was_seen_and_whether_a_statement_held() -> None:
    box = Box()
    stranger = box.say(client="02:00:00:00:00:99", state="background", **{"for": "2h"})
    assert stranger.body["seen"] is False
    assert box.say(client=PHONE, state="none").body["held_before"] is False


def test_until_a_time_with_its_zone() -> None:
    box = Box()
    assert box.say(client=PHONE, state="background", until="2026-09-21T17:00:00+02:00").status == 200
    end = round(datetime(2026, 9, 21, 15, tzinfo=UTC).timestamp()) * SECOND
    assert [box.state(end - NOW - 1), box.state(end - NOW)] == ["background", "unknown"]


def test_it_counts_more_than_what_the_phone_reports() -> None:
    box = Box()
    box.say(client=PHONE, state="background", **{"for": "2h"})
    box.book.report(Report(PHONE, "push", "screen_on", None, NOW + SECOND, NOW + SECOND))
    known = box.book.at(PHONE, NOW + 2 * SECOND)
    assert (known.state, known.source) == ("background", "manual")


def test_taken_back_and_said_anew() -> None:
    box = Box()
    box.say(client=PHONE, state="background", **{"for": "2h"})
    box.now += HOUR
    answer = box.say(client="Redmi Note", state="none")
    assert (answer.body["state"], answer.body["until"], box.state()) == ("none", None, "unknown")
    box.say(client=PHONE, state="background", **{"for": "4h"})
    assert box.state(3 * HOUR) == "background"
    assert box.source.counts["accepted"] == 2
    assert box.source.counts["withdrawn"] == 1


def test_a_longer_word_replaces_a_shorter_one_and_the_other_way_round() -> None:
    box = Box()
    for span in ("4h", "2h"):
        box.now += SECOND
        box.say(client=PHONE, state="background", **{"for": span})
    assert [box.state(2 * HOUR - 1), box.state(2 * HOUR)] == ["background", "unknown"]


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({"client": "nobody", "state": "background", "for": "2h"}, "client"),
        ({"state": "background", "for": "2h"}, "client"),
        ({"client": PHONE, "for": "2h"}, "state"),
        ({"client": PHONE, "state": "foreground", "for": "2h"}, "state"),
        ({"client": PHONE, "state": "background"}, "until"),
        ({"client": PHONE, "state": "background", "for": "2h", "until": "2026-09-21T16:00:00Z"}, "until"),
        ({"client": PHONE, "state": "background", "until": "15:00"}, "until"),
        ({"client": PHONE, "state": "background", "until": "2026-09-21T16:00:00"}, "until"),
        ({"client": PHONE, "state": "background", "until": "2026-09-01T16:00:00Z"}, "until"),
        ({"client": PHONE, "state": "background", "until": "9999-12-31T23:59:59-23:59"}, "until"),
        ({"client": PHONE, "state": "background", "for": "8d"}, "for"),
        ({"client": PHONE, "state": "background", "for": "0s"}, "for"),
        ({"client": PHONE, "state": "background", "for": "soon"}, "for"),
        ({"client": PHONE, "state": "background", "for": "2h", "note": "x" * 201}, "note"),
        ({"client": PHONE, "state": "background", "for": "2h", "why": "x"}, "why"),
    ],
)
def test_wrong_words_name_the_key_and_change_nothing(body: dict[str, Any], key: str) -> None:
    box = Box()
    answer = box.say(**body)
    assert answer.status == 400
    assert str(answer.body["error"]).startswith(f"{key}: ")
    assert (box.state(), box.source.counts["invalid"]) == ("unknown", 1)


def test_a_wrong_token_changes_nothing() -> None:
    box = Box()
    assert box.say("another-token-of-mine", client=PHONE, state="background", **{"for": "2h"}).status == 401
    assert box.state() == "unknown"


def test_without_a_token_nothing_is_taken_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    box = Box(token="")
    assert "set token_file" in caplog.text
    assert box.say("", client=PHONE, state="background", **{"for": "2h"}).status == 401


def test_so_many_clients_and_no_more() -> None:
    box = Box()
    for at in range(MAX_STATEMENTS):
        box.now += SECOND
        assert (
            box.say(client=f"02:00:00:00:{at >> 8:02x}:{at & 255:02x}", state="background", **{"for": "2h"}).status
            == 200
        )
    box.now += SECOND
    assert box.say(client=PHONE, state="background", **{"for": "2h"}).status == 400
    assert box.say(client="02:00:00:00:00:00", state="background", **{"for": "3h"}).status == 200
    box.now += 2 * HOUR
    assert box.say(client=PHONE, state="background", **{"for": "2h"}).status == 200, "those that ended make room"


async def test_it_outlives_a_restart(tmp_path: Path) -> None:
    box = Box(tmp_path)
    running = asyncio.ensure_future(box.source.run())
    box.say(client=PHONE, state="background", note="in the drawer", **{"for": "2h"})
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait({running})
    await asyncio.get_running_loop().shutdown_default_executor()  # as asyncio.run does
    assert read_statements(tmp_path / "manual.json", 9) == [Statement(PHONE, NOW, NOW + 2 * HOUR, "in the drawer")]
    again = Box(tmp_path, now=NOW + HOUR)
    known = again.book.at(PHONE, again.now)
    assert (known.state, known.source, known.age(again.now)) == ("background", "manual", HOUR)
    assert again.state(HOUR) == "unknown"
    assert Box(tmp_path, now=NOW + 3 * HOUR).state() == "unknown"


async def test_the_file_follows_while_it_runs(tmp_path: Path) -> None:
    box = Box(tmp_path)
    running = asyncio.ensure_future(box.source.run())
    async with asyncio.timeout(5):
        for said, expected in (({"state": "background", "for": "2h"}, 1), ({"state": "none"}, 0)):
            box.now += SECOND
            box.say(client=PHONE, **said)
            while len(read_statements(tmp_path / "manual.json", 9)) != expected:
                await asyncio.sleep(0.005)
    running.cancel()


def test_a_broken_file_is_skipped_with_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "manual.json").write_text('{"statements": [{"client"')
    box = Box(tmp_path)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "it is damaged" in caplog.text
    assert (box.state(), box.source.counts["file_error"]) == ("unknown", 1)
    assert box.say(client=PHONE, state="background", **{"for": "2h"}).status == 200


def test_statements_of_a_wrong_clock_are_not_taken_up(tmp_path: Path) -> None:
    write_statements(tmp_path / "manual.json", [Statement(PHONE, NOW + HOUR, NOW + 2 * HOUR), Statement("x", 0, 2**62)])
    assert Box(tmp_path).book.clients() == []


async def test_a_full_disk_costs_only_the_memory_of_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    box = Box(tmp_path / "file")
    box.say(client=PHONE, state="background", **{"for": "2h"})
    running = asyncio.ensure_future(box.source.run())
    async with asyncio.timeout(5):
        while "will not outlive" not in caplog.text:
            await asyncio.sleep(0.005)
    assert not running.done()
    assert box.state() == "background"
    running.cancel()


def test_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^foreground\.manual: give one of token and token_file, not both$"):
        Box(token_file="/x")
    with pytest.raises(ConfigError, match=r"^foreground\.manual\.token_file: /nowhere/token: No such file"):
        Box(token="", token_file="/nowhere/token")
    file = tmp_path / "token"
    file.write_text(TOKEN)
    assert Box(token="", token_file=str(file)).say(client=PHONE, state="none").status == 200
