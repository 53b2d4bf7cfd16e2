"""Links in messages: what is in them, and that nothing else passes for one."""

import base64
import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sensor.deliver.chat import (
    alertmanager,
    discord,
    email,
    google_chat,
    gotify,
    matrix,
    mattermost,
    msteams,
    ntfy,
    pushover,
    signal,
    slack,
    telegram,
)
from sensor.deliver.links import KEY_BYTES, LABELS, MAC_BYTES, Expired, Links, Offer, ruling_id, ruling_of
from sensor.deliver.notice import Notice, single
from sensor.deliver.rulings import DAY, matches
from sensor.deliver.shapes import alert_object
from sensor.enrich.suffixes import PublicSuffixes
from sensor.model.ruling import Key
from tests.deliver.test_rulings import NOW, PHONE, TABLET, alert

SECOND = 1_000_000_000
URL = "http://router.lan:8470"
OFFER = Offer("mute", Key("watchlist", PHONE, "Xiaomi"), "a1", NOW // SECOND + 3_600)


def whole(**changes: Any) -> dict[str, Any]:
    return {**alert(**changes), "severity": "warning", "state": changes.get("state", "firing"), "summary": "it sent"}


@pytest.fixture
def links(tmp_path: Path) -> Links:
    made = Links(URL, 7 * DAY, tmp_path / "links.key")
    made.prepare()
    return made


def tokens(notice: Notice) -> list[str]:
    return [link.url.removeprefix(f"{URL}/act/") for link in notice.links]


def test_there_and_back(links: Links) -> None:
    for offer in (OFFER, replace(OFFER, key=Key("idle_drip", PHONE, domain="mi.com")), replace(OFFER, action="allow")):
        assert links.read(links.sign(offer), NOW) == offer
    strange = replace(OFFER, key=Key("watchlist", "fe80::1", owner="中国电信 \U0001f600"))
    assert links.read(links.sign(strange), NOW) == strange


def test_what_an_alert_gets(links: Links) -> None:
    notice = links.on(single(whole(), NOW), people=True)
    assert [link.label for link in notice.links] == ["Acknowledge", "Mute for a week", "Allow for ever"]
    seen, mute, allow = (links.read(token, NOW) for token in tokens(notice))
    assert (seen.action, seen.alert) == ("acknowledge", "f1")
    assert mute.key == allow.key == Key("watchlist", PHONE, "Xiaomi Communications Co Ltd")
    assert mute.expires == (NOW + 7 * DAY) // SECOND
    over = links.on(single(whole(state="resolved"), NOW), people=True)
    assert [link.label for link in over.links] == ["Mute for a week", "Allow for ever"]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"owner": None}, Key("watchlist", PHONE, domain="api.io.mi.com")),
        ({"owner": None, "name": None}, Key("watchlist", PHONE, address="42.62.48.10")),
        ({"owner": None, "name": "x." * 60 + "y"}, Key("watchlist", PHONE, address="42.62.48.10")),
        ({"owner": "中" * 100}, Key("watchlist", PHONE, "中" * 60)),
        ({"destination": None}, Key("watchlist", PHONE)),
    ],
)
def test_what_is_meant_is_that_far_end(links: Links, changes: dict[str, Any], key: Key) -> None:
    token = tokens(links.on(single(whole(**changes), NOW), people=True))[1]
    assert links.read(token, NOW).key == key
    ruling = ruling_of(links.read(token, NOW), token, None, NOW)
    assert matches(ruling, whole(**changes))
    assert not matches(ruling, whole(mac=TABLET, **changes))
    assert len(f"{URL}/act/{token}") <= 512, "what Pushover takes"


def test_an_alert_about_many_owners_can_only_be_acknowledged(links: Links) -> None:
    notice = links.on(single(whole(others=True), NOW), people=True)
    assert [link.label for link in notice.links] == ["Acknowledge"]


def test_a_group_of_one_client(links: Links) -> None:
    group = replace(single(whole(), NOW), kind="group", alerts=(whole(), whole(id="a2")))
    notice = links.on(group, people=True)
    assert [link.label for link in notice.links] == ["Mute this client for a week"]
    assert links.read(tokens(notice)[0], NOW).key == Key(client=PHONE)
    two = links.on(replace(group, alerts=(whole(), whole(mac=TABLET))), people=True)
    assert [(link.label, link.url) for link in two.links] == [("Show", f"{URL}/")]


@pytest.mark.parametrize("name", ["com", "co.uk", "COM.", ".", "..", "com\0", " "])
def test_a_name_that_stands_for_those_of_others_is_not_offered(tmp_path: Path, name: str) -> None:
    """Whatever a client says in its hello: "allow" must not hold for the rest of the world."""
    links = Links(URL, 7 * DAY, tmp_path / "links.key", PublicSuffixes().registrable)
    links.prepare()
    for owner in (None, " "):
        notice = links.on(single(whole(name=name, owner=owner), NOW), people=True)
        assert {links.read(token, NOW).key for token in tokens(notice)} == {
            Key("watchlist", PHONE, address="42.62.48.10")
        }


def test_programs_get_none_that_acts(links: Links) -> None:
    notice = links.on(single(whole(), NOW), people=False)
    assert [(link.label, link.url) for link in notice.links] == [("Show", f"{URL}/?client=60%3A38%3Ae0%3Ac5%3A35%3Aa0")]


def test_without_a_public_url_nothing_is_made(tmp_path: Path) -> None:
    links = Links("", 7 * DAY, tmp_path / "links.key")
    links.prepare()
    assert links.on(single(whole(), NOW), people=True).links == ()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="not one of ours"):
        links.read("x" * 100, NOW)


def test_each_bit_counts(links: Links) -> None:
    token = links.sign(OFFER)
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for bit in range(8 * len(raw)):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match=r"^not one of ours$"):
            links.read(base64.urlsafe_b64encode(changed).decode().rstrip("="), NOW)


def test_one_text_per_token(links: Links) -> None:
    token = links.sign(OFFER)
    others = {
        f"{token}=",
        f"{token}==",
        f"{token}A",
        token[:-1],
        f" {token}",
        token.replace("-", "+"),
        token + "\u0661",
    }
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others |= {token[:-1] + letter for letter in letters}
    for other in others - {token}:
        with pytest.raises(ValueError, match=r"^not one of ours$"):
            links.read(other, NOW)


@pytest.mark.parametrize("token", ["", "x", "é" * 50, "A" * 23, "A" * 100, "A" * 10_000, "..", "%00", "\ud800" * 40])
def test_what_is_no_token(links: Links, token: str) -> None:
    with pytest.raises(ValueError, match=r"^not one of ours$"):
        links.read(token, NOW)


def test_expired_is_told_only_of_what_is_ours(links: Links, tmp_path: Path) -> None:
    token = links.sign(OFFER)
    assert links.read(token, NOW + 3_599 * SECOND) == OFFER
    with pytest.raises(Expired):
        links.read(token, NOW + 3_600 * SECOND)
    other = Links(URL, 7 * DAY, tmp_path / "other.key")
    other.prepare()
    with pytest.raises(ValueError, match="not one of ours") as caught:
        links.read(other.sign(OFFER), NOW + 10**6 * SECOND)
    assert not isinstance(caught.value, Expired)


def test_one_link_is_one_ruling(links: Links) -> None:
    token = links.sign(OFFER)
    first, again = (ruling_of(OFFER, token, None, at) for at in (NOW, NOW + DAY))
    assert first.id == again.id == ruling_id(token)
    assert (first.who, first.until, first.key) == ("link", NOW + 7 * DAY, OFFER.key)
    forever = replace(OFFER, action="allow")
    assert ruling_of(forever, links.sign(forever), None, NOW).until is None
    seen = replace(OFFER, action="acknowledge")
    with pytest.raises(LookupError):
        ruling_of(seen, links.sign(seen), None, NOW)
    assert ruling_of(seen, links.sign(seen), alert(), NOW).alert == "a1"
    assert set(LABELS) == {"acknowledge", "mute", "allow"}


def test_the_key_is_made_once_and_nobody_else_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "links.key"
    one, two = Links(URL, DAY, path), Links(URL, DAY, path)
    before = os.umask(0)
    try:
        one.prepare()
    finally:
        os.umask(before)
    two.prepare()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_bytes()) == KEY_BYTES
    assert MAC_BYTES * 8 >= 128
    assert two.read(one.sign(OFFER), NOW) == OFFER
    path.unlink()
    three = Links(URL, DAY, path)
    three.prepare()
    with pytest.raises(ValueError, match="not one of ours"):
        three.read(one.sign(OFFER), NOW)


@pytest.mark.parametrize("content", [b"", b"short", bytes(33)])
def test_a_damaged_key_is_made_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "links.key"
    path.write_bytes(content)
    links = Links(URL, DAY, path)
    links.prepare()
    assert len(path.read_bytes()) == KEY_BYTES
    assert links.read(links.sign(OFFER), NOW) == OFFER


def test_a_disk_that_refuses_the_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    links = Links(URL, DAY, tmp_path / "none" / "links.key")
    links.prepare()
    assert links.read(links.sign(OFFER), NOW) == OFFER
    assert "act only until the sensor ends" in caplog.text


def test_what_a_token_says_is_json_and_nothing_else(links: Links) -> None:
    token = links.sign(OFFER)
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))[:-MAC_BYTES]
    assert json.loads(raw)[:3] == [1, "mute", "a1"]


def pushover_body(notice: Notice) -> Any:
    sink = pushover.Pushover("p", pushover.Settings(token="a" * 30, user_token="b" * 30), "0")
    sink.prepare()
    return sink._body(notice)


def signal_body(notice: Notice) -> Any:
    number, family = signal.Number("+4915112345678"), (signal.Recipient("+4915112345679"),)
    return signal.Signal("s", signal.Settings(number, family, "http://127.0.0.1:1"), "0")._body(notice, None)


SHOWN_ALL = {
    "slack": slack.body, "mattermost": mattermost.body, "discord": discord._embed, "msteams": msteams.body,
    "google_chat": google_chat.body, "telegram": telegram.text, "matrix": matrix.content, "ntfy": ntfy.body,
    "gotify": gotify._message, "email": email._text, "pushover": pushover_body, "signal": signal_body,
}  # fmt: skip


@pytest.mark.parametrize("sink", SHOWN_ALL)
def test_every_sink_shows_all_links_of_an_alert_whole(links: Links, examples: Any, sink: str) -> None:
    shape = alert_object(examples.alert(), examples.info)
    notice = links.on(single(shape, examples.start), people=True)
    body = json.dumps(SHOWN_ALL[sink](notice), ensure_ascii=False)
    for link in notice.links:
        assert link.url in body, link.label
        assert link.label in body


def test_apprise_shows_those_that_have_room(links: Links, examples: Any) -> None:
    pytest.importorskip("apprise")
    from sensor.deliver.chat import apprise

    shape = alert_object(examples.alert(), examples.info)
    notice = links.on(single(shape, examples.start), people=True)
    body = json.loads(apprise._request("json://localhost", notice))["body"]
    assert [link.url in body for link in notice.links[:2]] == [True, True]
    assert len(body) <= apprise.MAX_BODY


def test_what_programs_get_says_nothing_that_acts(links: Links, examples: Any) -> None:
    shape = alert_object(examples.alert(), examples.info)
    notice = links.on(single(shape, examples.start), people=False)
    [posted] = [alertmanager._posted(shape, notice, DAY)]
    assert posted["generatorURL"].startswith(f"{URL}/?client=")
    assert "/act/" not in json.dumps(posted)
