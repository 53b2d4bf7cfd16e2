"""A ruling as somebody asks for it, read with mistrust."""

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address

from sensor.base.addresses import mac_text, parse_mac
from sensor.base.domains import normalize
from sensor.base.text import printable
from sensor.base.times import SECOND, rfc3339
from sensor.base.units import Duration, span
from sensor.deliver.notice import Json
from sensor.deliver.rulings import DAY, LONGEST
from sensor.model.ruling import PARTS, Action, Key, Ruling

MAX_VALUE, MAX_NOTE = 128, 200
"""Characters of one part of the key, and of a note."""

MUTED = 7 * DAY
"""ns that a mute holds where nothing else is said."""

PROTOCOLS = ("tcp", "udp", "sctp", "dccp", "udplite")

KEYS = ("action", *PARTS, "for", "until", "note", "who")

Body = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Known:
    """What names mean here."""

    detectors: Sequence[str]
    names: Mapping[str, str]
    """Of clients under [[client]] -> their ids."""
    whose: Callable[[str], str | None] = lambda _: None
    """The id of the client that has an address."""


def new_ruling(body: Body, known: Known, who: str, now: int) -> Ruling:
    """A mute, an allowance or maintenance. ValueError "key: what is wrong"; it repeats nothing of what was sent."""
    action = body.get("action")
    if action not in ("mute", "allow", "maintenance"):
        raise ValueError('action: expected "mute", "allow" or "maintenance"')
    given = [part for part in PARTS if body.get(part) is not None]
    if action == "maintenance" and given:
        raise ValueError(f"{given[0]}: maintenance is silent about everything; leave it out, or use a mute")
    key = read_key(body, known)
    if action != "maintenance" and not key:
        raise ValueError(f"detector: give at least one of {', '.join(PARTS)}")
    until = _end(body, action, now)
    return Ruling(new_id(), action, now, until, _who(body, who), _text(body, "note", MAX_NOTE) or "", key)


def acknowledgement(alert: Json, note: str, who: str, now: int, identity: str | None = None) -> Ruling:
    """Somebody has seen the alert."""
    until = now + LONGEST["acknowledge"]
    made = identity or new_id()
    return Ruling(made, "acknowledge", now, until, who, note, alert=alert["id"], fingerprint=alert["fingerprint"])


def read_note(body: Body, who: str) -> tuple[str, str]:
    """(note, who) of a post about one ruling or alert. ValueError."""
    return _text(body, "note", MAX_NOTE) or "", _who(body, who)


def read_key(body: Body, known: Known) -> Key:
    """The parts, each in the form in which alerts have it. ValueError."""
    values = {part: _text(body, part, MAX_VALUE) or "" for part in PARTS}
    if values["detector"] and values["detector"] not in known.detectors:
        raise ValueError(f"detector: there is none of that name; known: {', '.join(known.detectors)}")
    values["client"] = _client(values["client"], known)
    values["domain"] = _domain(values["domain"])
    values["address"] = _address(values["address"])
    values["port"] = _port(values["port"])
    return Key(**values)


def new_id() -> str:
    """Nobody guesses it, but it is no secret."""
    return secrets.token_hex(6)


def described(ruling: Ruling, called: Callable[[str], str] = str) -> str:
    """`mutes watchlist, client Redmi Note, owner Xiaomi`, plain text; `called`: a client's name by its id."""
    key = ruling.key
    parts = [
        key.detector,
        f"client {called(key.client)}" if key.client else "",
        f"owner {key.owner}" if key.owner else "",
        f"names under {key.domain}" if key.domain else "",
        key.address,
        f"port {key.port}" if key.port else "",
        f"alert {ruling.alert}" if ruling.alert else "",
    ]
    return ", ".join(part for part in parts if part) or "everything"


def shape(ruling: Ruling, now: int) -> Json:
    """The row of the API."""
    undone = ruling.ended_at is not None and bool(ruling.undone_by)
    return {
        "id": ruling.id,
        "action": ruling.action,
        **{part: getattr(ruling.key, part) or None for part in PARTS},
        "alert": ruling.alert or None,
        "fingerprint": ruling.fingerprint or None,
        "state": "active" if ruling.holds(now) else "undone" if undone else "over",
        "made_at": rfc3339(ruling.made_at),
        "until": None if ruling.until is None else rfc3339(ruling.until),
        "who": ruling.who,
        "note": ruling.note,
        "ended_at": None if ruling.ended_at is None else rfc3339(ruling.ended_at),
        "undone_by": ruling.undone_by or None,
        "undone_note": ruling.undone_note or None,
    }


def _text(body: Body, key: str, most: int) -> str | None:
    value = body.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or len(value) > most:
        raise ValueError(f"{key}: expected a text of 1 to {most} characters")
    return printable(value.strip(), most)


def _who(body: Body, who: str) -> str:
    return _text(body, "who", 64) or who


def _client(written: str, known: Known) -> str:
    if not written or written == "other":
        return written
    if written in known.names:
        return known.names[written]
    try:
        return mac_text(parse_mac(written))
    except ValueError:
        pass
    try:
        address = str(ip_address(written))
    except ValueError:
        raise ValueError("client: expected its MAC, its address, or its name under [[client]]") from None
    return known.whose(address) or address


def _domain(written: str) -> str:
    if not written:
        return ""
    try:
        domain = normalize(written)
    except ValueError:
        raise ValueError("domain: expected a domain name like example.com; it stands for all names under it") from None
    if domain.replace(".", "").isdigit():
        raise ValueError("domain: that is an address; give it as address")
    return domain


def _address(written: str) -> str:
    if not written:
        return ""
    try:
        return str(ip_address(written))
    except ValueError:
        raise ValueError("address: expected an address like 42.62.48.10 or 2001:db8::1") from None


def _port(written: str) -> str:
    if not written:
        return ""
    found = re.fullmatch(r"(?:([a-z]+)/)?([0-9]{1,5})", written.lower(), re.ASCII)
    if not found or not 0 < int(found[2]) < 65_536 or (found[1] and found[1] not in PROTOCOLS):
        raise ValueError("port: expected a port like 443 or tcp/443")
    return f"{found[1]}/{int(found[2])}" if found[1] else str(int(found[2]))


def _end(body: Body, action: Action, now: int) -> int | None:
    """ns; None: never."""
    until, lasts = _text(body, "until", 64), _text(body, "for", 64)
    if until is not None and lasts is not None:
        raise ValueError('until: give one of until ("2026-11-24T15:00:00Z") and for ("7d")')
    if until is None and lasts is None:
        if action == "maintenance":
            raise ValueError('for: maintenance needs an end; give for ("2h") or until')
        return None if action == "allow" else now + MUTED
    key, end = ("until", _moment(until)) if until is not None else ("for", now + _span(lasts or ""))
    if not now < end <= now + LONGEST[action]:
        raise ValueError(f"{key}: expected an end from now on, at most {span(LONGEST[action])} ahead")
    return end


def _moment(written: str) -> int:
    try:
        moment = datetime.fromisoformat(written)
        end = round(moment.timestamp()) * SECOND
    except (ValueError, OverflowError):
        moment, end = None, 0
    if moment is None or moment.tzinfo is None:
        raise ValueError('until: expected a time with its zone, like "2026-11-24T15:00:00Z"')
    return end


def _span(written: str) -> int:
    try:
        return int(Duration(written))
    except ValueError:
        raise ValueError('for: expected a duration like "7d" or "2h"') from None
