"""Against a home server that is as strict as the specification says."""

import json
import re

import pytest

from sensor.base.settings import build
from sensor.deliver.chat.matrix import Matrix, Room, Settings, content, transaction
from sensor.deliver.shapes import json_bytes
from sensor.errors import ConfigError, DeliveryError
from tests.deliver.chat import contract

SECRETS = ("syt_secretsecret",)
ROOM = "!abc/d:example.org"


def make(receiver, ca_file=""):
    base = receiver if isinstance(receiver, str) else f"http://127.0.0.1:{receiver.port}"
    return Matrix("lab", Settings(base, Room(ROOM), "syt_secretsecret", ca_file=ca_file), "0.1.0")


def ok(examples, event="$one:example.org"):
    return examples.reply(200, body=json.dumps({"event_id": event}).encode())


def validate(values):
    """spec.matrix.org: m.room.message, m.text, org.matrix.custom.html, m.mentions. Returns (text, bare HTML)."""
    assert len(json_bytes(values)) <= 65_536 - 2_048
    assert set(values) == {"msgtype", "body", "format", "formatted_body", "m.mentions"}
    assert (values["msgtype"], values["format"], values["m.mentions"]) == ("m.text", "org.matrix.custom.html", {})
    bare = re.sub(r"<code>[^<]*</code>", " ", values["formatted_body"])
    bare = re.sub(r'<a href="http://192\.168\.1\.1:8470/[^"<>]*">\w+</a>', "", bare)
    bare = re.sub(r'</?b>|<br>|<font data-mx-color="#[0-9a-f]{6}">|</font>', "", bare)
    assert not re.search(r"[<>\"]|&(?!amp;|lt;|gt;|quot;)", bare)
    text = re.sub(r"\n\w+: http://192\.168\.1\.1:8470/\S*", "", values["body"])
    return text, bare


async def test_the_message(receiver, examples):
    receiver.answers = [ok(examples)]
    [request], returned = await contract.sent(make, receiver, contract.with_links(contract.alert(examples)))
    room = "%21abc%2Fd%3Aexample.org"
    assert request.head.replace("!", "%21").replace("d:", "d%3A") == (
        f"PUT /_matrix/client/v3/rooms/{room}/send/m.room.message/a1.firing HTTP/1.1"
    )
    assert request.headers["authorization"] == "bearer syt_secretsecret"  # the receiver lowers its letters
    assert returned == "$one:example.org"
    text, _ = validate(request.json)
    assert text.split("\n")[:3] == ["Warning: watchlist", "phone sent 1.2 KB to Xiaomi in CN", "Sent: 1.2 KB"]
    assert "To: <code>mi.com</code>" in request.json["formatted_body"]


async def test_what_is_over_edits_the_message(receiver, examples):
    receiver.answers = [ok(examples, "$edit:example.org")]
    [request], returned = await contract.sent(make, receiver, contract.over(examples), "$one:example.org")
    assert returned == "$one:example.org", "an edit cannot be edited"
    assert request.json["m.relates_to"] == {"rel_type": "m.replace", "event_id": "$one:example.org"}
    assert request.json["body"].startswith("* Resolved: watchlist")
    assert validate(request.json["m.new_content"])[0].startswith("Resolved: watchlist")


async def test_a_reminder_answers_the_message(receiver, examples):
    receiver.answers = [ok(examples, "$two:example.org")]
    [request], returned = await contract.sent(make, receiver, contract.alert(examples), "$one:example.org")
    assert returned == "$two:example.org"
    assert request.json["m.relates_to"] == {"m.in_reply_to": {"event_id": "$one:example.org"}}


async def test_a_try_again_is_the_same_transaction(receiver, examples):
    receiver.answers = [examples.reply(500), ok(examples)]
    with pytest.raises(DeliveryError):
        await contract.sent(make, receiver, contract.alert(examples))
    await contract.sent(make, receiver, contract.alert(examples))
    first, second = receiver.requests
    assert (first.head, first.body) == (second.head, second.body)


async def test_how_long_to_wait(receiver, examples):
    told = {"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": 2500}
    receiver.answers = [examples.reply(429, body=json.dumps(told).encode())]
    with pytest.raises(DeliveryError, match=r"429 \(Too Many Requests\)") as caught:
        await contract.sent(make, receiver, contract.alert(examples))
    assert (caught.value.retry, caught.value.retry_after) == (True, 2.5)


def test_hostile_text_is_inert(examples):
    for payload, notice in contract.hostile(examples):
        text, bare = validate(content(notice))
        assert all(contract.inert(line) for line in text.split("\n")), payload
        assert contract.http_free(bare), payload
        assert bare.isprintable(), payload
        assert re.fullmatch(r"[A-Za-z0-9._~%-]{1,200}", transaction(payload)), payload


def test_too_long_a_text_is_cut(examples):
    values = content(contract.long(examples))
    validate(values)
    edit = {**values, "body": f"* {values['body']}", "m.new_content": values}
    assert len(json_bytes(edit)) <= 65_536 - 2_048, "there is room for what the server adds"


async def test_failures(receiver, examples, monkeypatch, caplog):
    await contract.fails_well(make, receiver, examples, monkeypatch, caplog, SECRETS)


async def test_tls(certificate, examples):
    await contract.takes_no_bad_certificate(make, certificate, examples)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"room": ROOM, "token": "x"}, "server: missing"),
        ({"room": ROOM, "token": "x", "server": ""}, "server: the URL must begin"),
        ({"room": "#alias:example.org", "token": "x", "server": "https://h"}, "room: expected the room's internal id"),
        ({"room": ROOM, "server": "https://h"}, "needs token or token_file"),
        ({"room": ROOM, "server": "https://h", "token": "s3cret s3cret"}, "token: expected one line"),
    ],
)
def test_settings(keys, said):
    with pytest.raises(ConfigError, match=said) as caught:
        build(Settings, keys, "sink[0]")
    assert "s3cret" not in str(caught.value)
