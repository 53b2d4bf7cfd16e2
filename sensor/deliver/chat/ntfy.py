"""ntfy, the public server or one's own. A resolved alert replaces its notification, from server 2.16 on."""

import base64
import re
from dataclasses import dataclass, field
from typing import Any

from sensor.deliver.http import HttpSink, server_url
from sensor.deliver.notice import Notice
from sensor.deliver.secret import Secret, checked, one_line, one_of
from sensor.deliver.text import cut, defang, facts, fit, heading, lines, utf8

MAX_MESSAGE = 4_096
"""Bytes; a longer message becomes an attachment (docs.ntfy.sh/publish/#limitations)."""
MAX_TITLE = 250
"""Bytes; the server has no limit, phones show less."""
MAX_ACTIONS = 3
"""Buttons; docs.ntfy.sh/publish/#action-buttons."""

PRIORITIES = {"info": 3, "warning": 4, "critical": 5}
"""docs.ntfy.sh/publish/#message-priority: default, high, max."""
OVER = 2
"""Low: no sound."""


def topic_name(topic: str) -> None:
    """ValueError, without it: no topic (topicRegex in server/server.go)."""
    if not re.fullmatch(r"[-_A-Za-z0-9]{1,64}", topic, re.ASCII):
        raise ValueError("expected 1 to 64 letters, digits, - and _")


def login(text: str) -> None:
    """ValueError, without it: it cannot be sent as user name or password (RFC 7617)."""
    if not text.isprintable() or len(text) > 256:
        raise ValueError("expected one line of at most 256 characters")


@dataclass(frozen=True)
class Settings:
    """Keys of [[sink]] with type = "ntfy"."""

    topic: str = field(default="", repr=False)
    """Who knows the topic of a server without logins can read it: choose one that cannot be guessed."""
    topic_file: str = ""
    """One of the two."""
    server: str = "https://ntfy.sh"
    token: str = field(default="", repr=False)
    """An access token, for topics that need one; or a file, or user name and password."""
    token_file: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    password_file: str = ""
    ca_file: str = ""
    """Certificates (PEM) that vouch for the server instead of the system's."""

    def __post_init__(self) -> None:
        """ValueError: no topic, or logins that contradict each other."""
        one_of("topic", self.topic, self.topic_file)
        one_of("token", self.token, self.token_file, needed=False)
        one_of("password", self.password, self.password_file, needed=bool(self.username))
        checked("topic", self.topic, topic_name)
        checked("server", self.server or "-", server_url)
        checked("token", self.token, one_line)
        checked("username", self.username, login)
        checked("password", self.password, login)
        if ":" in self.username:
            raise ValueError("username: must not have a colon in it")
        if (self.password or self.password_file) and not self.username:
            raise ValueError("username: missing; a password needs one")
        if self.username and (self.token or self.token_file):
            raise ValueError("give a token or a user name, not both")


class Ntfy(HttpSink):
    """JSON to the server's root, so that nothing of it is in a URL or a header; Markdown stays off."""

    settings_type = Settings
    pause = 5.0
    """docs.ntfy.sh/config/#rate-limiting: 60 requests, then one more every 5 seconds."""

    def __init__(self, name: str, settings: Settings, version: str) -> None:
        self._topic = Secret("topic", settings.topic, settings.topic_file, topic_name)
        self._token = Secret("token", settings.token, settings.token_file)
        self._password = Secret("password", settings.password, settings.password_file, login)
        super().__init__(name, version, settings.ca_file, self._topic, self._token, self._password)
        self._server = settings.server.rstrip("/") + "/"
        self._username = settings.username

    async def send(self, notice: Notice, earlier: str | None) -> str | None:
        """Resolved: the earlier notification is replaced."""
        values = {"topic": self._topic.reveal(), **body(notice)}
        if earlier and notice.state == "resolved" and re.fullmatch(r"[-_A-Za-z0-9]{1,64}", earlier, re.ASCII):
            values["sequence_id"] = earlier
        answer = await self.http.send_json(self._server, values, self._login())
        told = answer.json()
        answer.judge(said=told.get("error"))
        number = told.get("id")
        return values.get("sequence_id") or (number if isinstance(number, str) else None)

    def _login(self) -> dict[str, str]:
        if token := self._token.reveal():
            return {"authorization": f"Bearer {token}"}
        if not self._username:
            return {}
        pair = f"{self._username}:{self._password.reveal()}".encode()
        return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}


PLUGIN = Ntfy


def body(notice: Notice) -> dict[str, Any]:
    """Title, message, priority, buttons; a tap opens the first link."""
    measured = [f"{fact.label}: {fact.value}" for fact in facts(notice)]
    actions = [{"action": "view", "label": link.label, "url": link.url} for link in notice.links[:MAX_ACTIONS]]
    return {
        "title": cut(defang(heading(notice)), MAX_TITLE, utf8),
        "message": fit(map(defang, [*lines(notice), *measured]), MAX_MESSAGE, measure=utf8) or "-",
        "priority": OVER if notice.state == "resolved" else PRIORITIES[notice.severity],
        **({"actions": actions, "click": notice.links[0].url} if actions else {}),
    }
