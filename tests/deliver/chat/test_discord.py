"""Against a server that holds messages to Discord's documented schema and limits."""

import re
from dataclasses import replace

import pytest

from sensor.base.settings import build
from sensor.deliver.chat.discord import Discord, Settings
from sensor.deliver.notice import Link
from sensor.deliver.sink import SinkGone
from sensor.errors import ConfigError
from tests.deliver.chat.far_end import (
    FarEnd,
    Reply,
    check_failures,
    fires,
    hostile,
    is_inert,
    is_over,
    opened,
    payloads,
    refusal,
)

HOOK = "/api/webhooks/223704706495545344/3d89bb7572e0fb30d8128367b3b1b44f"


def utf16(shown):
    """Nobody says by which units Discord counts: by the smallest, it is right in any case."""
    return len(shown.encode("utf-16-le")) // 2


def discord(got):
    """docs/resources/webhook.mdx, docs/resources/message.mdx: Execute Webhook, Edit Webhook Message."""
    assert got.headers["content-type"] == "application/json"
    body = got.json
    assert set(body) <= {"content", "username", "embeds", "allowed_mentions"}
    assert body["allowed_mentions"] == {"parse": []}
    assert 1 <= len(body["embeds"]) <= 10
    total = 0
    for embed in body["embeds"]:
        assert set(embed) <= {"title", "description", "color", "timestamp", "fields", "url", "footer"}
        assert 1 <= utf16(embed["title"]) <= 256
        assert 1 <= utf16(embed["description"]) <= 4_096
        assert len(embed["fields"]) <= 25
        assert 0 <= embed["color"] <= 0xFFFFFF
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", embed["timestamp"])
        for field in embed["fields"]:
            assert 1 <= utf16(field["name"]) <= 256
            assert 1 <= utf16(field["value"]) <= 1_024
            total += utf16(field["name"]) + utf16(field["value"])
        total += utf16(embed["title"]) + utf16(embed["description"])
    assert total <= 6_000
    if got.method == "PATCH":
        assert re.fullmatch(rf"{HOOK}/messages/\d+", got.path)
        return Reply(200, {"id": got.path.rpartition("/")[2]})
    assert (got.method, got.path) == ("POST", HOOK)
    return Reply(200, {"id": "1020"} if got.query.get("wait") == "true" else {})


def sink_at(url, query=""):
    return Discord("family", Settings(f"{url}{HOOK}{query}"), "0.1.0")


async def test_what_is_over_edits_the_first_message(examples):
    async with FarEnd(discord).running() as far, opened(sink_at(far.url)) as sink:
        first = await sink.send(fires(examples), None)
        assert first == "1020"
        assert await sink.send(is_over(examples), first) == "1020"
        assert far.complaints == []
    told, over = far.got
    assert told.query == {"wait": "true"}
    assert told.json["embeds"][0]["title"] == "Warning: watchlist"
    assert told.json["embeds"][0]["description"] == "phone sent 1.2 KB to Xiaomi in CN"
    assert {"name": "To", "value": "`mi.com`", "inline": True} in told.json["embeds"][0]["fields"]
    assert (over.method, over.path) == ("PATCH", f"{HOOK}/messages/1020")
    assert over.json["embeds"][0]["title"] == "Resolved: watchlist"
    assert over.json["embeds"][0]["color"] != told.json["embeds"][0]["color"]


async def test_a_reminder_is_a_new_message(examples):
    async with FarEnd(discord).running() as far, opened(sink_at(far.url)) as sink:
        assert await sink.send(fires(examples), "7") == "1020"
    assert [got.method for got in far.got] == ["POST"]


async def test_a_message_that_somebody_deleted_is_told_anew(examples):
    def deleted(got):
        return Reply(404, {"message": "Unknown Message", "code": 10008}) if got.method == "PATCH" else discord(got)

    async with FarEnd(deleted).running() as far, opened(sink_at(far.url)) as sink:
        assert await sink.send(is_over(examples), "7") == "1020"
    assert [got.method for got in far.got] == ["PATCH", "POST"]


async def test_a_webhook_that_was_deleted_is_not_asked_again(examples):
    def gone(_):
        return Reply(404, {"message": "Unknown Webhook", "code": 10015})

    async with FarEnd(gone).running() as far, opened(sink_at(far.url)) as sink:
        for earlier in (None, "7"):
            with pytest.raises(SinkGone, match="deleted"):
                await sink.send(is_over(examples), earlier)


async def test_a_thread_is_kept(examples):
    async with FarEnd(discord).running() as far, opened(sink_at(far.url, "?thread_id=55&wait=false")) as sink:
        await sink.send(is_over(examples), await sink.send(fires(examples), None))
    assert [got.query for got in far.got] == [{"thread_id": "55", "wait": "true"}, {"thread_id": "55"}]


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After": "65"}, {"retry_after": 64.57}, 65),
        ({}, {"retry_after": 64.57}, 64.57),
        ({}, {"retry_after": 64_570}, 64.57),
        ({}, {"retry_after": "soon"}, None),
        ({}, [], None),
    ],
)
async def test_how_long_discord_wants_us_to_wait(examples, headers, body, seconds):
    async with FarEnd(lambda _: Reply(429, body, headers)).running() as far, opened(sink_at(far.url)) as sink:
        assert (await refusal(sink, fires(examples))).retry_after == seconds


@pytest.mark.parametrize("length", [10, 5_000, 50_000])
@pytest.mark.parametrize("letter", ["*", "😀", "中"])
async def test_long_messages_keep_all_limits(examples, length, letter):
    notice = fires(examples, summary=letter * length, destination=None)
    links = tuple(Link(f"mute {at}", f"https://router.lan/mute?{'t' * 400}{at}") for at in range(30))
    notice = replace(notice, title="_" * length, lines=(letter * length,) * 40, links=links)
    async with FarEnd(discord).running() as far, opened(sink_at(far.url)) as sink:
        await sink.send(notice, None)
    assert far.complaints == []
    assert "[mute 0](<https://router.lan/mute?t" in far.got[0].json["embeds"][0]["description"]


async def test_nothing_that_others_write_does_anything(examples):
    extra = ["<@&1>", "<@1> <#2>", "[click](http://evil.example)", "**b**", "```x```", "||spoiler||", ":skull:", "# h"]
    async with FarEnd(discord).running() as far, opened(sink_at(far.url)) as sink:
        for written in [*payloads(examples), *extra]:
            await sink.send(hostile(examples, written), None)
    assert far.complaints == []
    for got in far.got:
        [embed] = got.json["embeds"]
        for shown in [embed["title"], embed["description"], *(each["value"] for each in embed["fields"])]:
            assert is_inert(shown)
            plain = re.sub(r"\\.|`[^`]*`", "", shown)
            assert not re.search(r"[@<>*_~|`\[\]#]|:\w+:", plain), shown


async def test_failures(examples, caplog, monkeypatch, tmp_path):
    secrets = [HOOK.rpartition("/")[2]]
    await check_failures(discord, sink_at, fires(examples), secrets, caplog, monkeypatch, tmp_path)


async def test_the_address_from_a_file(examples, tmp_path):
    async with FarEnd(discord).running() as far:
        (tmp_path / "url").write_text(f"{far.url}{HOOK}\n")
        async with opened(Discord("family", Settings(url_file=str(tmp_path / "url")), "0.1.0")) as sink:
            await sink.send(fires(examples), None)
    assert far.complaints == []


@pytest.mark.parametrize("table", [{}, {"url": "discord.com"}, {"url": "http://a/b", "url_file": "/x"}])
def test_settings_that_cannot_be(table):
    with pytest.raises(ConfigError, match=r"^sink"):
        build(Settings, table, "sink")
