"""Matrix, by the client API. A resolved alert edits its message; a reminder answers it. Rooms with encryption get the
text unencrypted, if their server lets it pass."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from sensor.deliver.http import HttpSink, server_url
from sensor.deliver.notice import Notice
from sensor.deliver.secret import Secret, checked, one_line, one_of
from sensor.deliver.text import colour, cut, defang, facts, fit, heading, html, html_line, lines, utf8

MAX_LINES = 6_000
"""Bytes of the escaped lines: they are there four times, as text and HTML, and again in an edit, in an event of at most
65,536 (spec.matrix.org/latest/client-server-api/#size-limits)."""
MAX_HEADING = 300
MAX_TRANSACTION = 200
"""Bytes of a transaction's name, which must fit into a URL."""


class Room(str):
    """A room's id."""

    __slots__ = ()
    example = "!abcdefgh:example.com"

    def __new__(cls, value: str) -> "Room":
        """ValueError: for example, it is an alias, which may come to name another room."""
        if not re.fullmatch(r"![!-~]{1,254}", text := value.strip(), re.ASCII):
            raise ValueError("expected the room's internal id, like !abcdefgh:example.com (in its settings: Advanced)")
        return super().__new__(cls, text)


@dataclass(frozen=True)
class Settings:
    """Keys of [[sink]] with type = "matrix"."""

    server: str
    """The home server's address, such as https://matrix.example.com."""
    room: Room
    """The user whose token it is must be in there; the room must not be encrypted."""
    token: str = field(default="", repr=False)
    token_file: str = ""
    """One of the two: an access token of a user of its own."""
    ca_file: str = ""
    """Certificates (PEM) that vouch for the server instead of the system's."""

    def __post_init__(self) -> None:
        """ValueError: not exactly one token, or something is none."""
        one_of("token", self.token, self.token_file)
        checked("token", self.token, one_line)
        checked("server", self.server or "-", server_url)


class Matrix(HttpSink):
    """A try again is the same transaction, so that the server shows it once."""

    settings_type = Settings
    pause = 5.0
    """element-hq.github.io/synapse, rc_message: 0.2 per second after a burst of 10."""

    def __init__(self, name: str, settings: Settings, version: str) -> None:
        self._token = Secret("token", settings.token, settings.token_file)
        super().__init__(name, version, settings.ca_file, self._token)
        room = quote(settings.room, safe="")
        self._events = f"{settings.server.rstrip('/')}/_matrix/client/v3/rooms/{room}/send/m.room.message"

    async def send(self, notice: Notice, earlier: str | None) -> str | None:
        """Resolved: the earlier event is replaced; otherwise it is answered."""
        values, edits = content(notice), earlier is not None and notice.state == "resolved"
        if edits:
            related = {"rel_type": "m.replace", "event_id": earlier}
            values = {**values, "body": f"* {values['body']}", "m.new_content": values, "m.relates_to": related}
        elif earlier is not None:
            values["m.relates_to"] = {"m.in_reply_to": {"event_id": earlier}}
        url = f"{self._events}/{transaction(notice.id)}"
        answer = await self.http.send_json(
            url, values, {"authorization": f"Bearer {self._token.reveal()}"}, method="PUT"
        )
        told = answer.json()
        wait = told.get("retry_after_ms")
        answer.judge(wait=wait / 1000 if isinstance(wait, int) else None, said=told.get("error"))
        event = told.get("event_id")
        return earlier if edits else event if isinstance(event, str) else None


PLUGIN = Matrix


def transaction(identity: str) -> str:
    """The notice's id as one piece of a path."""
    return quote(identity, safe="", errors="replace")[:MAX_TRANSACTION].rstrip("%") or "0"


def content(notice: Notice) -> dict[str, Any]:
    """m.text in plain words and as HTML; it mentions nobody (spec.matrix.org: m.mentions)."""
    title = cut(heading(notice), MAX_HEADING)
    told = lines(notice)
    measured = [f"{fact.label}: {fact.value}" for fact in facts(notice)]
    links = [f"{link.label}: {link.url}" for link in notice.links]
    shown = [*told, *measured]
    anchors = [f'<a href="{html(link.url)}">{html(link.label)}</a>' for link in notice.links]
    head = f'<font data-mx-color="#{colour(notice):06x}"><b>{html(defang(title))}</b></font>'
    return {
        "msgtype": "m.text",
        "body": "\n".join([defang(title), fit(map(defang, shown), MAX_LINES, measure=utf8), *links]),
        "format": "org.matrix.custom.html",
        "formatted_body": "<br>".join(
            [head, fit(shown, MAX_LINES, html_line, utf8).replace("\n", "<br>"), " | ".join(anchors)]
        ).removesuffix("<br>"),
        "m.mentions": {},
    }
