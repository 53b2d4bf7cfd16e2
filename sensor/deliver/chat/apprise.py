"""Everything else that Apprise knows (more than 100 services), in a child process: `apprise_worker.py`."""

import asyncio
import importlib.util
import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field

from sensor.deliver import text
from sensor.deliver.http import reason
from sensor.deliver.notice import Notice
from sensor.deliver.secret import Secret, checked, one_of
from sensor.deliver.sink import Sink
from sensor.errors import DeliveryError

if importlib.util.find_spec("apprise") is None:
    raise ImportError(
        f"the package apprise is missing; install it with: {sys.executable} -m pip install 'apprise>=1.9'"
    )

SEND_SECONDS = 19.0
"""For one message, with the start of the child; a child that needs longer is killed."""
END_SECONDS = 2.0
"""For a child that was told to end."""
MAX_TITLE, MAX_BODY = 250, 1_000
"""Characters: what nearly all services take. For one that takes less Apprise cuts, for SMS it sends several."""
MAX_ANSWER = 1_000
"""Bytes of one line of the child."""
WORKER = "sensor.deliver.apprise_worker"

_MARKUP = str.maketrans("<>`", "\u2039\u203a'")

TYPES = {"info": "info", "warning": "warning", "critical": "failure"}
"""apprise.NotifyType."""


@dataclass(frozen=True)
class Settings:
    """Keys of [[sink]] with type = "apprise": one of the two."""

    url: str = field(default="", repr=False)
    """In Apprise's way of writing: rocket://user:password@chat.example.org/alerts."""
    url_file: str = ""
    """A file that holds it."""

    def __post_init__(self) -> None:
        """ValueError: not exactly one of the two, or not the shape of a URL."""
        one_of("url", self.url, self.url_file)
        checked("url", self.url, _url)


class Apprise(Sink):
    """Starts the child when there is something to send, and again when it has died or ended for want of work."""

    settings_type = Settings
    pause = 5.5
    """Apprise's own default between two messages (URLBase.request_rate_per_sec), for which the child would sleep."""

    def __init__(self, name: str, settings: Settings, version: str) -> None:
        super().__init__(name, version)
        self._url = Secret("url", settings.url, settings.url_file, _url)
        self._child: asyncio.subprocess.Process | None = None

    def __repr__(self) -> str:
        return f"Apprise({self.name!r})"

    def prepare(self) -> None:
        self._url.prepare(self.name)

    async def send(self, notice: Notice, earlier: str | None) -> str | None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                outcome = await self._ask(_request(self._url.reveal(), notice))
        except TimeoutError:
            await self._kill()
            raise DeliveryError(f"apprise: no answer within {SEND_SECONDS:g} s", retry=True) from None
        except OSError as error:
            await self._kill()
            raise DeliveryError(f"apprise: cannot run {sys.executable}: {reason(error)}", retry=True) from None
        except asyncio.CancelledError:
            await self._kill()
            raise
        if outcome is None:
            await self._kill()
            raise DeliveryError("apprise: the child process died", retry=True)
        if outcome == "bad url":
            raise DeliveryError("apprise: does not know or cannot read the URL", retry=False)
        if outcome != "delivered":
            raise DeliveryError("apprise: the service could not be reached or refused the message", retry=True)
        return None

    async def close(self) -> None:
        child, self._child = self._child, None
        if child is not None and child.stdin is not None:
            child.stdin.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(END_SECONDS):
                    await child.communicate()
            self._child = child
            await self._kill()

    async def _ask(self, request: bytes) -> str | None:
        """The outcome; None: the child died over it."""
        reused = self._child is not None
        outcome = await self._try(request)
        if outcome is None and reused and await self._ended_by_itself():
            outcome = await self._try(request)
        return outcome

    async def _try(self, request: bytes) -> str | None:
        child = self._child or await self._start()
        if child.stdin is None or child.stdout is None:
            return None
        try:
            child.stdin.write(request)
            await child.stdin.drain()
            answer = json.loads(await child.stdout.readline())
        except (ConnectionError, ValueError):
            return None
        outcome = answer.get("outcome") if isinstance(answer, dict) else None
        return outcome if isinstance(outcome, str) else None

    async def _start(self) -> asyncio.subprocess.Process:
        """The URL goes through the pipe: what is in arguments and environments others can read."""
        self._child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-m", WORKER),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=MAX_ANSWER,
            # No proxies, no home with .netrc: a message goes where its URL says.
            env={"PATH": os.defpath, "LANG": "C.UTF-8"},
        )
        return self._child

    async def _ended_by_itself(self) -> bool:
        """For want of work, between two messages: then nothing of this one was sent."""
        child, self._child = self._child, None
        if child is None:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await child.communicate()
        self._child = child
        await self._kill()
        return child.returncode == 0

    async def _kill(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        with suppress(ProcessLookupError):
            child.kill()
        # Its end shows only once its pipe is read to the end, which what a plug-in started may still hold.
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await child.communicate()


PLUGIN = Apprise


def _url(value: str) -> None:
    """ValueError: not the shape of a URL; which schemes there are only Apprise knows."""
    scheme, found, rest = value.partition("://")
    if not scheme.isascii() or not scheme or not found or not rest or not value.isprintable():
        raise ValueError("expected a URL as Apprise writes them, like ntfys://topic")


def _request(url: str, notice: Notice) -> bytes:
    links = [f"{text.plain(link.label, 80)}: {link.url}" for link in notice.links]
    while sum(len(link) + 1 for link in links) > MAX_BODY // 2:
        links.pop()
    facts = [f"{fact.label}: {fact.value}" for fact in text.facts(notice)]
    title = text.fit([text.heading(notice)], MAX_TITLE, _inert)
    shown = text.fit([*text.lines(notice), *facts], MAX_BODY - sum(len(link) + 1 for link in links), _inert)
    body = "\n".join([shown or title, *links])
    kind = "success" if notice.state == "resolved" else TYPES[notice.severity]
    return json.dumps({"url": url, "title": title, "body": body, "type": kind}).encode("ascii") + b"\n"


def _inert(line: str) -> str:
    """Which markup the service knows is not known here: nothing that looks like a tag, a link or a ping."""
    return text.defang(line).translate(_MARKUP)
