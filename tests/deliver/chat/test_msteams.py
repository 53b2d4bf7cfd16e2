"""Against a workflow that takes what the Adaptive Card schema 1.4 and Teams allow."""

from sensor.deliver.chat.msteams import MsTeams, Settings, body
from sensor.deliver.shapes import json_bytes
from tests.deliver.chat import contract

SECRETS = ("workflowsecret", "sigsecretsig")
PATH = "/powerautomate/workflows/workflowsecret/triggers/manual/paths/invoke?api-version=1&sig=sigsecretsig"


def make(receiver, ca_file=""):
    base = receiver if isinstance(receiver, str) else f"http://127.0.0.1:{receiver.port}"
    return MsTeams("lab", Settings(f"{base}{PATH}", ca_file=ca_file), "0.1.0")


def validate(message):
    """adaptivecards.io/schemas/adaptive-card.json, as far as it is used. Returns the runs' texts."""
    assert len(json_bytes(message)) <= 21_000
    assert (set(message), message["type"]) == ({"type", "attachments"}, "message")
    [attachment] = message["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert set(card) == {"$schema", "type", "version", "body", "actions"}
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert len(card["actions"]) <= 6
    for action in card["actions"]:
        assert (set(action), action["type"]) == ({"type", "title", "url"}, "Action.OpenUrl")
    shown = []
    for block in card["body"]:
        assert block["type"] == "RichTextBlock"
        assert set(block) <= {"type", "inlines", "spacing"}
        for run in block["inlines"]:
            assert run["type"] == "TextRun"
            assert set(run) <= {"type", "text", "weight", "size", "color"}
            assert run.get("color", "Default") in ("Default", "Accent", "Good", "Warning", "Attention")
            shown.append(run["text"])
    return shown


async def test_the_message(receiver, examples):
    receiver.answers = [examples.reply(202, body=b"")]
    [request], returned = await contract.sent(make, receiver, contract.with_links(contract.alert(examples)))
    assert (request.head, returned) == (f"POST {PATH} HTTP/1.1", None)
    shown = validate(request.json)
    assert shown[:4] == ["Warning: watchlist", "phone sent 1.2 KB to Xiaomi in CN", "Sent: ", "1.2 KB"]
    card = request.json["attachments"][0]["content"]
    assert card["body"][0]["inlines"][0]["color"] == "Warning"
    assert [action["title"] for action in card["actions"]] == ["Mute", "Show"]


def test_what_is_over(examples):
    title = body(contract.over(examples))["attachments"][0]["content"]["body"][0]["inlines"][0]
    assert (title["text"], title["color"]) == ("Resolved: watchlist", "Good")


def test_hostile_text_is_inert(examples):
    for payload, notice in contract.hostile(examples):
        assert all(contract.inert(shown) for shown in validate(body(notice))), payload


def test_too_long_a_text_is_cut(examples):
    shown = validate(body(contract.long(examples)))
    assert any(text.endswith("…") for text in shown)


async def test_failures(receiver, examples, monkeypatch, caplog):
    await contract.fails_well(make, receiver, examples, monkeypatch, caplog, SECRETS)


async def test_tls(certificate, examples):
    await contract.takes_no_bad_certificate(make, certificate, examples, b"")
