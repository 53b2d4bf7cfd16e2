"""Pushover. What was sent cannot be changed: what is over is a message of its own, without sound."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlencode

from sensor.base.text import printable
from sensor.base.times import SECOND
from sensor.deliver import text
from sensor.deliver.http import Http
from sensor.deliver.notice import Notice
from sensor.deliver.secret import Secret, checked, one_of
from sensor.deliver.sink import Sink
from sensor.errors import DeliveryError

API = "https://api.pushover.net/1"
MAX_MESSAGE, MAX_TITLE, MAX_URL, MAX_URL_TITLE = 1_024, 250, 512, 100
"""Characters (pushover.net/api, "Limits")."""
PRIORITIES = {"info": -1, "warning": 0, "critical": 1}
"""-1: no sound; 1: also in quiet hours (pushover.net/api#priority)."""
QUIET, EMERGENCY = -1, 2
RETRY_SECONDS, EXPIRE_SECONDS = 60, 3_600
"""An emergency repeats until someone confirms it: how often (from 30 s), how long (up to 10,800 s; same place)."""
CANCEL_SECONDS = 4.0
"""For taking an emergency back."""
WAIT_SECONDS = 5.0
"""Before the next try after an error of the service (pushover.net/api#friendly)."""


@dataclass(frozen=True)
class Settings:
    """Keys of [[sink]] with type = "pushover"."""

    token: str = field(default="", repr=False)
    """Of the application that was registered for the sensor."""
    token_file: str = ""
    user_token: str = field(default="", repr=False)
    """The key of the user, or of a group."""
    user_token_file: str = ""
    device: str = ""
    """The name of one phone; empty: all of the user's."""
    emergency: bool = False
    """Critical alerts repeat every minute for an hour, until someone confirms them or they are over."""

    def __post_init__(self) -> None:
        """ValueError: a key is missing or given twice, or is no name of a phone."""
        one_of("token", self.token, self.token_file)
        one_of("user_token", self.user_token, self.user_token_file)
        checked("token", self.token, _key)
        checked("user_token", self.user_token, _key)
        if len(self.device) > 25 or not all(
            char.isascii() and (char.isalnum() or char in "_-") for char in self.device
        ):
            raise ValueError(f"device: not the name of a phone at Pushover: '{printable(self.device, 60)}'")


class Pushover(Sink):
    """Plain text; names are written so that the apps make no links of them. Holds on to the receipt of an emergency."""

    settings_type = Settings
    pause = 1.0
    """Pushover names no rate, but asks for at most two connections at once and counts 10,000 messages a month."""

    def __init__(self, name: str, settings: Settings, version: str) -> None:
        super().__init__(name, version)
        self._token = Secret("token", settings.token, settings.token_file, _key)
        self._user = Secret("user_token", settings.user_token, settings.user_token_file, _key)
        self._device = settings.device
        self._emergency = settings.emergency
        self._http = Http(version)

    def __repr__(self) -> str:
        return f"Pushover({self.name!r})"

    def prepare(self) -> None:
        self._token.prepare(self.name)
        self._user.prepare(self.name)

    async def open(self) -> None:
        await self._http.open()

    async def send(self, notice: Notice, earlier: str | None) -> str | None:
        body = self._body(notice)
        receipt = await self._post("messages.json", body)
        if earlier is not None and earlier.isalnum() and notice.state == "resolved":
            # What is over shall not ring on; that it could not be told so is no reason to send the message again.
            with suppress(DeliveryError, TimeoutError):
                async with asyncio.timeout(CANCEL_SECONDS):
                    await self._post(f"receipts/{earlier}/cancel.json", {"token": self._token.reveal()})
            return None
        return receipt or earlier

    async def close(self) -> None:
        await self._http.close()

    async def _post(self, path: str, body: dict[str, str | int]) -> str | None:
        """The receipt, if there is one."""
        form = {"content-type": "application/x-www-form-urlencoded"}
        answer = await self._http.request("POST", f"{API}/{path}", urlencode(body).encode("ascii"), form)
        values = answer.json()
        errors = values.get("errors")
        said = errors[0] if isinstance(errors, list) and errors else None
        secret = isinstance(said, str) and any(key in said for key in (self._token.reveal(), self._user.reveal()))
        answer.judge(
            wait=WAIT_SECONDS if answer.status >= 500 and answer.wait is None else None, said=None if secret else said
        )
        if values.get("status") != 1:
            raise DeliveryError(f"{answer.place}: answered {answer.status} without accepting the message", retry=True)
        receipt = values.get("receipt")
        return receipt if isinstance(receipt, str) and receipt.isalnum() else None

    def _body(self, notice: Notice) -> dict[str, str | int]:
        priority = QUIET if notice.state == "resolved" else PRIORITIES[notice.severity]
        if self._emergency and priority == PRIORITIES["critical"]:
            priority = EMERGENCY
        body: dict[str, str | int] = {
            "token": self._token.reveal(),
            "user": self._user.reveal(),
            "title": text.fit([text.heading(notice)], MAX_TITLE, text.defang),
            "priority": priority,
            "timestamp": notice.at // SECOND,
        }
        if priority == EMERGENCY:
            body |= {"retry": RETRY_SECONDS, "expire": EXPIRE_SECONDS}
        if self._device:
            body["device"] = self._device
        links = [f"{text.plain(link.label, 80)}: {link.url}" for link in notice.links]
        if notice.links and len(notice.links[0].url) <= MAX_URL:
            body |= {"url": notice.links[0].url, "url_title": text.plain(notice.links[0].label, MAX_URL_TITLE)}
            del links[0]
        facts = [f"{fact.label}: {fact.value}" for fact in text.facts(notice)]
        message = text.fit([*text.lines(notice), *facts], MAX_MESSAGE, text.defang) or str(body["title"])
        for link in links:
            if len(message) + 1 + len(link) <= MAX_MESSAGE:
                message += f"\n{link}"
        return {**body, "message": message}


PLUGIN = Pushover


def _key(value: str) -> None:
    """ValueError: no key as Pushover makes them (pushover.net/api#identifiers)."""
    if len(value) != 30 or not (value.isascii() and value.isalnum()):
        raise ValueError("expected 30 letters and digits")
