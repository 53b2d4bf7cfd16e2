"""A Gotify server. Applications cannot change what they sent: what is over is a message of its own, without sound."""

from dataclasses import dataclass, field

from sensor.deliver import text
from sensor.deliver.http import Http, shown_place
from sensor.deliver.notice import Json, Notice
from sensor.deliver.secret import Secret, checked, one_of
from sensor.deliver.sink import Sink

MAX_TITLE, MAX_MESSAGE = 250, 16_000
"""Characters and bytes. The server stores both as `text` (gotify/server, model/message.go), 65,535 bytes in MySQL,
and sends nothing longer than a push of its own; this is what a phone still shows in one piece."""
PRIORITIES = {"info": 2, "warning": 5, "critical": 8}
"""From 4 on with a sound, from 8 on with vibration (gotify/android, README, "Message Priorities")."""
QUIET = 2
"""Priority of what is over."""


@dataclass(frozen=True)
class Settings:
    """Keys of [[sink]] with type = "gotify"."""

    url: str = field(default="", repr=False)
    """The server: https://gotify.example.org."""
    url_file: str = ""
    token: str = field(default="", repr=False)
    """Of the application that Gotify made for the sensor."""
    token_file: str = ""
    ca_file: str = ""
    """Certificates (PEM) that vouch for the server; empty: those of the system."""

    def __post_init__(self) -> None:
        """ValueError: a key is missing or given twice, or the URL is none."""
        one_of("url", self.url, self.url_file)
        one_of("token", self.token, self.token_file)
        checked("url", self.url, shown_place)
        checked("token", self.token)


class Gotify(Sink):
    """Plain text; names are written so that the apps make no links of them."""

    settings_type = Settings
    pause = 0.1
    """The server has no limit; a phone shall still show them one after the other."""

    def __init__(self, name: str, settings: Settings, version: str) -> None:
        super().__init__(name, version)
        self._url = Secret("url", settings.url, settings.url_file, shown_place)
        self._token = Secret("token", settings.token, settings.token_file)
        self._http = Http(version, settings.ca_file)

    def __repr__(self) -> str:
        return f"Gotify({self.name!r})"

    def prepare(self) -> None:
        self._url.prepare(self.name)
        self._token.prepare(self.name)
        self._http.prepare(self.name)

    async def open(self) -> None:
        await self._http.open()

    async def send(self, notice: Notice, earlier: str | None) -> str | None:
        answer = await self._http.send_json(
            f"{self._url.reveal().rstrip('/')}/message", _message(notice), {"X-Gotify-Key": self._token.reveal()}
        )
        answer.judge(said=answer.json().get("errorDescription"))
        return None

    async def close(self) -> None:
        await self._http.close()


PLUGIN = Gotify


def _message(notice: Notice) -> Json:
    links = [f"{text.plain(link.label, 80)}: {link.url}" for link in notice.links]
    facts = [f"{fact.label}: {fact.value}" for fact in text.facts(notice)]
    room = MAX_MESSAGE - sum(text.utf8(link) + 1 for link in links)
    title = text.fit([text.heading(notice)], MAX_TITLE, text.defang)
    body = text.fit([*text.lines(notice), *facts], room, text.defang, text.utf8)
    extras: Json = {"client::display": {"contentType": "text/plain"}}
    if notice.links:
        extras["client::notification"] = {"click": {"url": notice.links[0].url}}
    return {
        "title": title,
        "message": "\n".join([body or title, *links]),
        "priority": QUIET if notice.state == "resolved" else PRIORITIES[notice.severity],
        "extras": extras,
    }
