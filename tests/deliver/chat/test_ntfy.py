"""Against a server that is as strict as ntfy's pages say."""

import base64
import json
import re

import pytest

from sensor.base.settings import build
from sensor.deliver.chat.ntfy import Ntfy, Settings, body
from sensor.errors import ConfigError
from tests.deliver.chat import contract

SECRETS = ("topicsecrettopic", "tk_secretsecret")


def make(receiver, ca_file="", **keys):
    base = receiver if isinstance(receiver, str) else f"http://127.0.0.1:{receiver.port}"
    keys = keys or {"token": "tk_secretsecret"}
    return Ntfy("lab", Settings("topicsecrettopic", server=base, ca_file=ca_file, **keys), "0.1.0")


def ok(examples, number="hwQ2YpKdmg"):
    return examples.reply(200, body=json.dumps({"id": number, "event": "message"}).encode())


def validate(values):
    """docs.ntfy.sh/publish: publish as JSON. Returns what is shown."""
    assert set(values) <= {"topic", "title", "message", "priority", "actions", "click", "sequence_id"}
    assert 1 <= values["priority"] <= 5
    assert 1 <= len(values["message"].encode()) <= 4_096
    assert 1 <= len(values["title"].encode()) <= 250
    assert len(values.get("actions", [])) <= 3
    for action in values.get("actions", []):
        assert (set(action), action["action"]) == ({"action", "label", "url"}, "view")
    return [values["title"], *values["message"].split("\n")]


async def test_the_message(receiver, examples):
    receiver.answers = [ok(examples)]
    [request], returned = await contract.sent(make, receiver, contract.with_links(contract.alert(examples)))
    assert (request.head, returned) == ("POST / HTTP/1.1", "hwQ2YpKdmg")
    assert request.headers["authorization"] == "bearer tk_secretsecret"  # the receiver lowers its letters
    assert request.json["topic"] == "topicsecrettopic"
    shown = validate(request.json)
    assert shown[:3] == ["Warning: watchlist", "phone sent 1.2 KB to Xiaomi in CN", "Sent: 1.2 KB"]
    assert (request.json["priority"], request.json["click"]) == (4, contract.LINKS[0].url)


async def test_what_is_over_replaces_the_notification(receiver, examples):
    receiver.answers = [ok(examples, "other")]
    [request], returned = await contract.sent(make, receiver, contract.over(examples), "hwQ2YpKdmg")
    assert (request.json["sequence_id"], request.json["priority"], returned) == ("hwQ2YpKdmg", 2, "hwQ2YpKdmg")
    [request], _ = await contract.sent(make, receiver, contract.over(examples), "a b")
    assert "sequence_id" not in request.json


async def test_a_reminder_is_a_notification_of_its_own(receiver, examples):
    receiver.answers = [ok(examples, "other")]
    [request], returned = await contract.sent(make, receiver, contract.alert(examples), "hwQ2YpKdmg")
    assert ("sequence_id" in request.json, returned) == (False, "other")


async def test_logins(receiver, examples):
    named = {"username": "phil", "password": "pässword"}
    [request], _ = await contract.sent(lambda to: make(to, **named), receiver, contract.alert(examples))
    pair = base64.b64encode("phil:pässword".encode()).decode()
    assert request.headers["authorization"] == f"Basic {pair}".lower()
    [request], _ = await contract.sent(lambda to: make(to, username=""), receiver, contract.alert(examples))
    assert "authorization" not in request.headers


def test_hostile_text_is_inert(examples):
    for payload, notice in contract.hostile(examples):
        assert all(contract.inert(line) for line in validate(body(notice))), payload
        assert not re.search(r"[\r\0]", body(notice)["message"])


def test_too_long_a_text_is_cut(examples):
    assert validate(body(contract.long(examples)))[-1].endswith("…")


async def test_failures(receiver, examples, monkeypatch, caplog):
    await contract.fails_well(make, receiver, examples, monkeypatch, caplog, SECRETS)


async def test_tls(certificate, examples):
    await contract.takes_no_bad_certificate(make, certificate, examples)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({}, "needs topic or topic_file"),
        ({"topic": "s3cret/.."}, "topic: expected 1 to 64 letters"),
        ({"topic": "a", "server": "ntfy.sh"}, "server: the URL must begin"),
        ({"topic": "a", "username": "phil"}, "needs password or password_file"),
        ({"topic": "a", "password": "s3cret"}, "username: missing"),
        ({"topic": "a", "username": "p:h", "password": "s3cret"}, "username: must not have a colon"),
        ({"topic": "a", "username": "p", "password": "s3cret\r\nx"}, "password: expected one line"),
        ({"topic": "a", "username": "p", "password": "s3cret", "token": "tk_x"}, "give a token or a user name"),
    ],
)
def test_settings(keys, said):
    with pytest.raises(ConfigError, match=said) as caught:
        build(Settings, keys, "sink[0]")
    assert "s3cret" not in str(caught.value)
