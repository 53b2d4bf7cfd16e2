"""Against a server that is as strict as Mattermost's pages say."""

import re

from sensor.deliver.chat.mattermost import Mattermost, Settings, body, escape, line
from tests.deliver.chat import contract

SECRETS = ("hooksecretkey",)


def make(receiver, ca_file=""):
    base = receiver if isinstance(receiver, str) else f"http://127.0.0.1:{receiver.port}"
    return Mattermost("lab", Settings(f"{base}/hooks/hooksecretkey", ca_file=ca_file), "0.1.0")


def validate(message):
    """docs.mattermost.com: message attachments. Returns all that is shown of what others chose."""
    assert set(message) == {"attachments"}
    [attachment] = message["attachments"]
    assert set(attachment) == {"fallback", "color", "title", "text", "fields"}
    assert re.fullmatch("#[0-9a-f]{6}", attachment["color"])
    assert len(attachment["text"]) <= 4_000
    for field in attachment["fields"]:
        assert set(field) == {"title", "value", "short"}
    text = re.sub(r"\n\[\w+\]\(http://192\.168\.1\.1:8470/[^()\s]*\)", "", attachment["text"])
    return [attachment["title"], text, *(field["value"] for field in attachment["fields"])]


def without_code(markdown):
    """What is outside of code spans."""
    return re.sub(r"(?<!\\)`[^`\n]*`", "", markdown)


async def test_the_message(receiver, examples):
    [request], returned = await contract.sent(make, receiver, contract.with_links(contract.alert(examples)))
    assert (request.head, returned) == ("POST /hooks/hooksecretkey HTTP/1.1", None)
    validate(request.json)
    [attachment] = request.json["attachments"]
    assert attachment["title"] == r"Warning\: watchlist"
    assert attachment["text"].split("\n")[0] == r"phone sent 1\.2 KB to Xiaomi in CN"
    assert attachment["text"].split("\n")[1] == "[Mute](http://192.168.1.1:8470/mute?token=a.b&x=%3C)"
    assert {"title": "To", "value": "`mi.com`", "short": True} in attachment["fields"]


def test_what_is_over(examples):
    [attachment] = body(contract.over(examples))["attachments"]
    assert (attachment["title"], attachment["color"]) == (r"Resolved\: watchlist", "#16a34a")


def test_hostile_text_is_inert(examples):
    for payload, notice in contract.hostile(examples):
        for shown in validate(body(notice)):
            assert all(each.isprintable() for each in shown.split("\n")), payload
            outside = without_code(shown)
            assert not re.search(r"(?<!\\)(?:\\\\)*[<>*_~`\[\]#|@]", outside), payload
            assert "@" not in outside.replace("\\[\\@\\]", ""), payload
            assert contract.http_free(outside), payload


def test_too_long_a_text_is_cut(examples):
    message = body(contract.long(examples))
    validate(message)
    assert "…" in message["attachments"][0]["text"]


def test_escape():
    assert escape("*a* <b> [c](d)") == r"\*a\* \<b\> \[c\]\(d\)"
    assert line("to mi.com, @channel") == r"to `mi.com`\, `@channel`"


async def test_failures(receiver, examples, monkeypatch, caplog):
    await contract.fails_well(make, receiver, examples, monkeypatch, caplog, SECRETS)


async def test_tls(certificate, examples):
    await contract.takes_no_bad_certificate(make, certificate, examples, b"ok")
