"""Signal, through a signal-cli-rest-api server. What is over answers the message that told of it.

It does not edit it: the apps drop edits of messages that are older than a day, without a word to the sender.
"""

import re
from dataclasses import dataclass, field

from sensor.base.text import printable
from sensor.deliver import text
from sensor.deliver.http import Answer, Http, shown_place
from sensor.deliver.notice import Json, Notice
from sensor.deliver.secret import Secret, checked, one_of
from sensor.deliver.sink import Sink
from sensor.errors import DeliveryError

MAX_MESSAGE = 2_000
"""Bytes. The apps drop what is longer than 2,048 without an attachment of its own (signalapp/Signal-Android,
SignalServiceMessageLimits.MAX_INLINE_BODY_SIZE_BYTES)."""
MAX_QUOTE = 200
"""Characters of the heading that an answer quotes."""

_MEANT_FOR_US = ("Couldn't process request", "Please provide")
"""How the server begins what is wrong with a request; all that went wrong at Signal is a 400, too (src/api/api.go)."""


class Number(str):
    """A phone number as Signal knows it."""

    __slots__ = ()
    example = "+491701234567"

    def __new__(cls, written: str) -> "Number":
        """International, without blanks."""
        if not re.fullmatch(r"\+[1-9][0-9]{5,14}", written.strip(), re.ASCII):
            raise ValueError(f"expected a phone number like {cls.example}, got '{printable(written, 40)}'")
        return super().__new__(cls, written.strip())


class Recipient(str):
    """Who gets it: a phone number, a group (`group.…=`), or a user name (`u:name.01`)."""

    __slots__ = ()
    example = "+491701234567"

    def __new__(cls, written: str) -> "Recipient":
        """As the server takes them."""
        pattern = r"\+[1-9][0-9]{5,14}|group\.[A-Za-z0-9+/=_-]{8,128}|(?:u:)?[A-Za-z_][A-Za-z0-9_]{2,31}\.[0-9]{2,19}"
        if not re.fullmatch(pattern, written.strip(), re.ASCII):
            raise ValueError(
                f"expected a phone number like {cls.example}, a group like group.ab12= or a user name like u:anna.01, "
                f"got '{printable(written, 40)}'"
            )
        return super().__new__(cls, written.strip())


@dataclass(frozen=True)
class Settings:
    """Keys of [[sink]] with type = "signal"."""

    number: Number
    """The sensor's own, registered or linked at the server."""
    recipients: tuple[Recipient, ...]
    url: str = field(default="", repr=False)
    """The server: http://127.0.0.1:8080."""
    url_file: str = ""
    ca_file: str = ""
    """Certificates (PEM) that vouch for the server; empty: those of the system."""

    def __post_init__(self) -> None:
        """ValueError: nobody to send to, no URL, or two."""
        one_of("url", self.url, self.url_file)
        checked("url", self.url, shown_place)
        if not self.recipients:
            raise ValueError("recipients: needs at least one")


class Signal(Sink):
    """Plain text; names are written so that the apps make no links of them. Holds on to the message's time."""

    settings_type = Settings
    pause = 5.0
    """Signal names no rate and answers too many messages with a captcha that a person must solve: rather few."""

    def __init__(self, name: str, settings: Settings, version: str) -> None:
        super().__init__(name, version)
        self._url = Secret("url", settings.url, settings.url_file, shown_place)
        self._number = str(settings.number)
        self._recipients = [str(each) for each in settings.recipients]
        self._http = Http(version, settings.ca_file)

    def __repr__(self) -> str:
        return f"Signal({self.name!r})"

    def prepare(self) -> None:
        self._url.prepare(self.name)
        self._http.prepare(self.name)

    async def open(self) -> None:
        await self._http.open()

    async def send(self, notice: Notice, earlier: str | None) -> str | None:
        answer = await self._http.send_json(f"{self._url.reveal().rstrip('/')}/v2/send", self._body(notice, earlier))
        _judge(answer)
        sent = answer.json().get("timestamp")
        first = earlier if notice.state == "resolved" else None
        return first or (sent if isinstance(sent, str) and _is_time(sent) else None)

    async def close(self) -> None:
        await self._http.close()

    def _body(self, notice: Notice, earlier: str | None) -> Json:
        body: Json = {"number": self._number, "recipients": self._recipients, "text_mode": "normal"}
        heading = text.heading(notice)
        if notice.state == "resolved" and earlier is not None and _is_time(earlier):
            body |= {
                "quote_timestamp": int(earlier),
                "quote_author": self._number,
                "quote_message": text.fit([heading.removeprefix("Resolved: ")], MAX_QUOTE, text.defang),
            }
        links = [f"{text.plain(link.label, 80)}: {link.url}" for link in notice.links]
        while sum(text.utf8(link) + 1 for link in links) > MAX_MESSAGE // 2:
            links.pop()
        facts = [f"{fact.label}: {fact.value}" for fact in text.facts(notice)]
        room = MAX_MESSAGE - sum(text.utf8(link) + 1 for link in links)
        shown = text.fit([heading, *text.lines(notice), *facts], room, text.defang, text.utf8)
        return {**body, "message": "\n".join([shown, *links])}


PLUGIN = Signal


def _judge(answer: Answer) -> None:
    """The server answers 400 to whatever went wrong behind it, so that only its own complaints are final."""
    said = answer.json().get("error")
    if answer.status == 400 and not (isinstance(said, str) and said.startswith(_MEANT_FOR_US)):
        raise DeliveryError(f"{answer.place}: Signal did not take the message", retry=True, retry_after=answer.wait)
    answer.judge(said=said)


def _is_time(written: str) -> bool:
    """Milliseconds since 1970, which name a message together with its author."""
    return written.isascii() and written.isdecimal() and len(written) <= 16
