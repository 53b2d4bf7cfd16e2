"""Against a server that is as strict as Google Chat's pages say."""

import re

from sensor.deliver.chat.google_chat import GoogleChat, Settings, body
from sensor.deliver.shapes import json_bytes
from tests.deliver.chat import contract

SECRETS = ("keysecretkey", "tokensecrettoken")
PATH = "/v1/spaces/AAAA/messages?key=keysecretkey&token=tokensecrettoken"


def make(receiver, ca_file=""):
    base = receiver if isinstance(receiver, str) else f"http://127.0.0.1:{receiver.port}"
    return GoogleChat("lab", Settings(f"{base}{PATH}", ca_file=ca_file), "0.1.0")


def validate(message):
    """developers.google.com/workspace/chat/api: spaces.messages and cards. Returns (HTML texts, plain texts)."""
    assert len(json_bytes(message)) <= 32_000
    assert set(message) == {"cardsV2", "fallbackText", "thread"}
    assert (set(message["thread"]), len(message["thread"]["threadKey"]) <= 4_000) == ({"threadKey"}, True)
    [with_id] = message["cardsV2"]
    [section] = with_id["card"]["sections"]
    assert len(section["widgets"]) <= 100
    marked = []
    for widget in section["widgets"]:
        [(kind, value)] = widget.items()
        if kind == "textParagraph":
            assert set(value) == {"text"}
            marked.append(value["text"])
        elif kind == "decoratedText":
            assert set(value) == {"topLabel", "text", "wrapText"}
            marked.append(value["text"])
        else:
            assert kind == "buttonList"
            for button in value["buttons"]:
                assert set(button) == {"text", "onClick"}
                assert button["onClick"]["openLink"]["url"].startswith("http://192.168.1.1:8470/")
    return marked, [message["fallbackText"]]


async def test_the_message(receiver, examples):
    [request], returned = await contract.sent(make, receiver, contract.with_links(contract.alert(examples)))
    assert request.head == f"POST {PATH}&messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD HTTP/1.1"
    assert returned is None
    marked, [fallback] = validate(request.json)
    assert fallback == "Warning: watchlist"
    assert marked[:3] == [
        '<font color="#f59e0b"><b>Warning: watchlist</b></font>', "phone sent 1.2 KB to Xiaomi in CN", "1.2 KB",
    ]  # fmt: skip


def test_what_is_over_is_in_the_same_thread(examples):
    first, second = body(contract.alert(examples)), body(contract.over(examples))
    assert first["thread"] == second["thread"] == {"threadKey": "a1"}
    assert second["fallbackText"] == "Resolved: watchlist"


def test_hostile_text_is_inert(examples):
    for payload, notice in contract.hostile(examples):
        marked, plain = validate(body(notice))
        for shown in marked:
            bare = re.sub(r'<font color="#[0-9a-f]{6}"><b>(.*)</b></font>', r"\1", shown).replace("<br>", "")
            assert not re.search(r"[<>\"]|&(?!amp;|lt;|gt;|quot;)", bare), payload
            assert contract.inert(bare), payload
        assert all(contract.inert(shown) for shown in plain), payload


def test_too_long_a_text_is_cut(examples):
    marked, _ = validate(body(contract.long(examples)))
    assert marked[1].endswith("…")


async def test_failures(receiver, examples, monkeypatch, caplog):
    await contract.fails_well(make, receiver, examples, monkeypatch, caplog, SECRETS)


async def test_tls(certificate, examples):
    await contract.takes_no_bad_certificate(make, certificate, examples)
