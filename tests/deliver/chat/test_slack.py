"""Against a server that is as strict as Slack's pages say."""

import re

import pytest

from sensor.base.settings import build
from sensor.deliver.chat.slack import Settings, Slack, body, escape
from sensor.errors import ConfigError
from tests.deliver.chat import contract

SECRETS = ("B0secretB0", "XsecretX0123")
PATH = "/services/T0/B0secretB0/XsecretX0123"


def make(receiver, ca_file=""):
    base = receiver if isinstance(receiver, str) else f"http://127.0.0.1:{receiver.port}"
    return Slack("lab", Settings(f"{base}{PATH}", ca_file=ca_file), "0.1.0")


def validate(message):
    """docs.slack.dev: incoming webhooks, blocks, text objects. Returns all that is shown of what others chose."""
    assert set(message) <= {"text", "mrkdwn", "unfurl_links", "unfurl_media", "attachments"}
    assert 0 < len(message["text"]) <= 4_000
    assert message["mrkdwn"] is message["unfurl_links"] is message["unfurl_media"] is False
    shown = [message["text"]]
    for attachment in message.get("attachments", []):
        assert set(attachment) == {"color", "blocks"}
        assert re.fullmatch("#[0-9a-f]{6}", attachment["color"])
        assert 1 <= len(attachment["blocks"]) <= 50
        for block in attachment["blocks"]:
            if block["type"] == "context":
                [text] = block["elements"]
                assert text["type"] == "mrkdwn"
                assert 0 < len(text["text"]) <= 3_000
                assert re.fullmatch(r"(<http://192\.168\.1\.1:8470/[^<>|]*\|\w+>( \| )?)+", text["text"])
                continue
            assert block["type"] == "section"
            assert len(block.get("fields", [])) <= 10
            texts = [(block[key], 3_000) for key in block if key == "text"]
            for text, limit in [*texts, *((each, 2_000) for each in block.get("fields", []))]:
                assert set(text) == {"type", "text", "emoji"}
                assert (text["type"], text["emoji"]) == ("plain_text", False)
                assert 0 < len(text["text"]) <= limit
                shown.append(text["text"])
    return shown


async def test_the_message(receiver, examples):
    [request], returned = await contract.sent(make, receiver, contract.with_links(contract.alert(examples)))
    assert request.head == f"POST {PATH} HTTP/1.1"
    assert returned is None
    validate(request.json)
    assert request.json["text"] == "Warning: watchlist"
    [attachment] = request.json["attachments"]
    told, measured, links = attachment["blocks"]
    assert told["text"]["text"] == "phone sent 1.2 KB to Xiaomi in CN"
    assert [field["text"] for field in measured["fields"]][:3] == ["Sent: 1.2 KB", "Received: 340 B", "To: mi[.]com"]
    assert links["elements"][0]["text"].startswith("<http://192.168.1.1:8470/mute?token=a.b&amp;x=%3C|Mute> | <")


def test_what_is_over(examples):
    message = body(contract.over(examples))
    assert message["text"] == "Resolved: watchlist"
    assert message["attachments"][0]["color"] == "#16a34a"


def test_hostile_text_is_inert(examples):
    for payload, notice in contract.hostile(examples):
        for shown in validate(body(notice)):
            assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", shown), payload
            assert all(contract.inert(line) for line in shown.split("\n")), payload


def test_too_long_a_text_is_cut(examples):
    shown = validate(body(contract.long(examples)))
    assert shown[1].endswith("…")
    assert not shown[1].endswith(("&…", "&am…"))


def test_escape():
    assert escape("<!channel> & co") == "&lt;!channel&gt; &amp; co"


async def test_failures(receiver, examples, monkeypatch, caplog):
    await contract.fails_well(make, receiver, examples, monkeypatch, caplog, SECRETS)


async def test_tls(certificate, examples):
    await contract.takes_no_bad_certificate(make, certificate, examples, b"ok")


async def test_slacks_own_reason_is_told(receiver, examples):
    receiver.answers = [examples.reply(403, body=b"invalid_token")]
    with pytest.raises(Exception, match=r"answered 403 \(invalid_token\)"):
        await contract.sent(make, receiver, contract.alert(examples))


def test_settings(tmp_path):
    with pytest.raises(ConfigError, match="needs url or url_file"):
        build(Settings, {}, "sink[0]")
    with pytest.raises(ConfigError, match="must begin with http"):
        build(Settings, {"url": "hooks/s3cret"}, "sink[0]")
    (tmp_path / "url").write_text("ftp://h/s3cret")
    with pytest.raises(ConfigError, match=r"sink lab: url_file: .*must begin") as caught:
        Slack("lab", Settings(url_file=str(tmp_path / "url")), "0").prepare()
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(Settings("https://h/s3cret"))
