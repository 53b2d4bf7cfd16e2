"""Against a server that is as strict as the Bot API's page says."""

import json
import re
from html import unescape

import pytest

from sensor.base.settings import build
from sensor.deliver.chat.telegram import ChatId, Settings, Telegram, text
from sensor.errors import ConfigError, DeliveryError
from tests.deliver.chat import contract

TOKEN = "123456789:AAsecretsecretsecretsecretsecret00"
SECRETS = (TOKEN, "AAsecretsecretsecretsecretsecret00")


def make(receiver, ca_file="", **keys):
    base = receiver if isinstance(receiver, str) else f"http://127.0.0.1:{receiver.port}"
    return Telegram("lab", Settings(ChatId(-100123), TOKEN, server=base, ca_file=ca_file, **keys), "0.1.0")


def ok(examples, number=7):
    return examples.reply(200, body=json.dumps({"ok": True, "result": {"message_id": number}}).encode())


def refused(examples, code, description, **parameters):
    values = {"ok": False, "error_code": code, "description": description, "parameters": parameters}
    return examples.reply(code, body=json.dumps(values).encode())


def validate(values):
    """core.telegram.org/bots/api#html-style: known tags, closed in order; other < > & only as entities."""
    assert values["chat_id"] == -100123
    assert values["parse_mode"] == "HTML"
    assert values["link_preview_options"] == {"is_disabled": True}
    return parsed(values["text"])


def parsed(markup):
    """(all text, text outside of <code>, with one blank for each code)."""
    stack, whole, bare, entities = [], "", "", 0
    for tag, said in re.findall(r"(<[^>]*>)|([^<]+)", markup):
        if tag.startswith("</"):
            assert stack.pop() == tag[2:-1]
        elif tag:
            assert tag in ("<b>", "<code>") or re.fullmatch(r'<a href="http://192\.168\.1\.1:8470/[^"<>]*">', tag), tag
            stack.append(tag[1:-1].split()[0])
            entities += 1
        else:
            assert not re.search(r"[<>\"]|&(?!amp;|lt;|gt;|quot;)", said)
            whole += unescape(said)
            bare += " " if "code" in stack else unescape(said)
    assert stack == []
    assert entities <= 100
    assert 1 <= len(whole.encode("utf-16-le")) // 2 <= 4_096
    return whole, bare


async def test_the_message(receiver, examples):
    receiver.answers = [ok(examples)]
    notice = contract.with_links(contract.alert(examples))
    [request], returned = await contract.sent(make, receiver, notice)
    assert request.head == f"POST /bot{TOKEN}/sendMessage HTTP/1.1"
    assert returned == "7"
    whole, _ = validate(request.json)
    head, told, blank, sent, *_ = whole.split("\n")
    assert (head, told, blank, sent) == ("Warning: watchlist", "phone sent 1.2 KB to Xiaomi in CN", "", "Sent: 1.2 KB")
    assert "To: <code>mi.com</code>" in request.json["text"]
    assert '<a href="http://192.168.1.1:8470/mute?token=a.b&amp;x=%3C">Mute</a>' in request.json["text"]
    assert request.json["disable_notification"] is False


async def test_what_is_over_edits_the_message(receiver, examples):
    receiver.answers = [ok(examples)]
    [request], returned = await contract.sent(make, receiver, contract.over(examples), "7")
    assert request.head == f"POST /bot{TOKEN}/editMessageText HTTP/1.1"
    assert (request.json["message_id"], returned) == (7, "7")
    assert validate(request.json)[0].startswith("Resolved: watchlist")


async def test_a_repeated_edit_is_an_arrival(receiver, examples):
    receiver.answers = [refused(examples, 400, "Bad Request: message is not modified: specified new ...")]
    [_], returned = await contract.sent(make, receiver, contract.over(examples), "7")
    assert returned == "7"


async def test_what_cannot_be_edited_is_answered_without_a_sound(receiver, examples):
    receiver.answers = [refused(examples, 400, "Bad Request: message can't be edited"), ok(examples, 8)]
    [_, request], returned = await contract.sent(make, receiver, contract.over(examples), "7")
    assert returned == "8"
    assert request.json["reply_parameters"] == {"message_id": 7, "allow_sending_without_reply": True}
    assert request.json["disable_notification"] is True


async def test_a_reminder_answers_the_message(receiver, examples):
    receiver.answers = [ok(examples, 8)]
    [request], returned = await contract.sent(make, receiver, contract.alert(examples), "7")
    assert request.head.startswith(f"POST /bot{TOKEN}/sendMessage")
    assert (request.json["reply_parameters"]["message_id"], returned) == (7, "8")


async def test_a_topic(receiver, examples):
    receiver.answers = [ok(examples)]
    [request], _ = await contract.sent(lambda to: make(to, thread_id=5), receiver, contract.alert(examples), "rubbish")
    assert request.json["message_thread_id"] == 5
    assert "reply_parameters" not in request.json


async def test_how_long_to_wait(receiver, examples):
    receiver.answers = [refused(examples, 429, "Too Many Requests: retry after 5", retry_after=5)]
    for earlier in (None, "7"):
        with pytest.raises(DeliveryError) as caught:
            await contract.sent(make, receiver, contract.over(examples), earlier)
        assert (caught.value.retry, caught.value.retry_after) == (True, 5.0)


async def test_telegrams_own_reason_is_told(receiver, examples):
    receiver.answers = [refused(examples, 400, "Bad Request: chat not found")]
    with pytest.raises(DeliveryError, match=r"answered 400 \(Bad Request: chat not found\)"):
        await contract.sent(make, receiver, contract.alert(examples))


def test_hostile_text_is_inert(examples):
    for payload, notice in contract.hostile(examples):
        whole, bare = parsed(text(notice))
        assert all(line.isprintable() for line in whole.replace("\u2060", "").split("\n")), payload
        assert contract.http_free(bare), payload
        assert not re.search(r"(?<!\S)[/#$]\w", bare), payload


def test_too_long_a_text_is_cut(examples):
    whole, _ = parsed(text(contract.long(examples)))
    assert "…" in whole
    assert whole.endswith("Mute\nShow")


@pytest.mark.parametrize("body", [b"", b"ok", b'{"ok": true}', b'{"result": {"message_id": "x"}}', b'{"result": 5}'])
async def test_an_answer_without_a_number_is_an_arrival(receiver, examples, body):
    receiver.answers = [examples.reply(200, body=body)]
    _, returned = await contract.sent(make, receiver, contract.alert(examples))
    assert returned is None


async def test_failures(receiver, examples, monkeypatch, caplog):
    await contract.fails_well(make, receiver, examples, monkeypatch, caplog, SECRETS)


async def test_tls(certificate, examples):
    await contract.takes_no_bad_certificate(make, certificate, examples)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"token": TOKEN}, "chat_id: missing; for example"),
        ({"chat_id": 5}, "needs token or token_file"),
        ({"chat_id": "t.me/x", "token": TOKEN}, "chat_id: expected the chat's number"),
        ({"chat_id": 5, "token": "AAsecret"}, "token: expected what @BotFather gives"),
        ({"chat_id": 5, "token": TOKEN, "thread_id": -1}, "thread_id: expected 0"),
        ({"chat_id": 5, "token": TOKEN, "server": "api.telegram.org"}, "server: the URL must begin"),
        ({"chat_id": 5, "token": TOKEN, "server": "https://u:p@h/"}, "server: expected only scheme"),
    ],
)
def test_settings(keys, said):
    with pytest.raises(ConfigError, match=said) as caught:
        build(Settings, keys, "sink[0]")
    assert "AAsecret" not in str(caught.value)


def test_chats():
    assert build(Settings, {"chat_id": -100123, "token": TOKEN}, "").chat_id == "-100123"
    assert build(Settings, {"chat_id": "@channel", "token": TOKEN}, "").chat_id == "@channel"
    assert "AAsecret" not in repr(build(Settings, {"chat_id": 5, "token": TOKEN}, ""))
