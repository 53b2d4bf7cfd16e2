"""A Discord channel, by its webhook: one embed per message; what is over edits the message that told of it."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from sensor.base.times import rfc3339
from sensor.deliver import text
from sensor.deliver.http import Answer, Http, shown_place
from sensor.deliver.notice import Json, Notice
from sensor.deliver.secret import Secret, checked, one_of
from sensor.deliver.sink import Sink, SinkGone

MAX_TITLE, MAX_DESCRIPTION, MAX_TOTAL = 256, 4_096, 6_000
"""Characters (discord/discord-api-docs, docs/resources/message.mdx, "Embed Limits"); the last over all of an embed."""
MAX_FIELDS, MAX_FIELD_NAME, MAX_FIELD = 25, 256, 1_024
"""Fields, and characters of one (same place)."""
LONGEST_WAIT = 3_600.0
"""Seconds: a `retry_after` beyond it was given in milliseconds (discord/discord-api-docs issue 4722)."""
UNKNOWN_MESSAGE, UNKNOWN_WEBHOOK = 10_008, 10_015
"""Codes in the body of a 404 (docs/topics/opcodes-and-status-codes.md)."""

_MARKUP = re.compile(r"([\\`*_~|<>\[\]#@]|^-|:(?=[\w+-]+:))")


@dataclass(frozen=True)
class Settings:
    """Keys of [[sink]] with type = "discord": one of the two."""

    url: str = field(default="", repr=False)
    """The webhook's address: https://discord.com/api/webhooks/NUMBER/TOKEN, for a thread with ?thread_id=NUMBER."""
    url_file: str = ""
    """A file that holds it."""

    def __post_init__(self) -> None:
        """ValueError: not exactly one of the two, or no URL."""
        one_of("url", self.url, self.url_file)
        checked("url", self.url, shown_place)


class Discord(Sink):
    """Nothing in a message pings anybody; a webhook that is no more is not asked again, as Discord wants it."""

    settings_type = Settings
    pause = 2.0
    """Discord names no number and wants its answers heeded (docs/topics/rate-limits.md); 30 a minute pass."""

    def __init__(self, name: str, settings: Settings, version: str) -> None:
        super().__init__(name, version)
        self._url = Secret("url", settings.url, settings.url_file, shown_place)
        self._http = Http(version)

    def __repr__(self) -> str:
        return f"Discord({self.name!r})"

    def prepare(self) -> None:
        self._url.prepare(self.name)

    async def open(self) -> None:
        await self._http.open()

    async def send(self, notice: Notice, earlier: str | None) -> str | None:
        body = {"embeds": [_embed(notice)], "allowed_mentions": {"parse": []}}
        if notice.state == "resolved" and earlier is not None and earlier.isdecimal():
            answer = await self._http.send_json(_address(self._url.reveal(), earlier), body, method="PATCH")
            if answer.status != 404 or answer.json().get("code") != UNKNOWN_MESSAGE:
                _judge(answer)
                return earlier
        answer = await self._http.send_json(_address(self._url.reveal()), body)
        _judge(answer)
        message = answer.json().get("id")
        return message if isinstance(message, str) and message.isdecimal() else None

    async def close(self) -> None:
        await self._http.close()


PLUGIN = Discord


def _address(url: str, message: str | None = None) -> str:
    """Where messages go, or one of them: what else the URL asks for (`thread_id`) stays."""
    parts = urlsplit(url)
    query = [(key, value) for key, value in parse_qsl(parts.query) if key != "wait"]
    path = parts.path.rstrip("/")
    if message is None:
        query.append(("wait", "true"))
    else:
        path += f"/messages/{message}"
    return urlunsplit((parts.scheme, parts.netloc, path, urlencode(query), ""))


def _judge(answer: Answer) -> None:
    said = answer.json()
    if answer.status == 404 and said.get("code") == UNKNOWN_WEBHOOK:
        raise SinkGone(f"{answer.place}: the webhook was deleted")
    wait = said.get("retry_after")
    if answer.wait is not None or isinstance(wait, bool) or not isinstance(wait, int | float):
        wait = None
    elif wait > LONGEST_WAIT:
        wait /= 1_000
    answer.judge(wait=wait, said=said.get("message"))


def _embed(notice: Notice) -> Json:
    title = text.fit([text.heading(notice)], MAX_TITLE, _escaped, text.utf16)
    fields = [_field(fact) for fact in text.facts(notice)[:MAX_FIELDS]]
    used = text.utf16(title) + sum(text.utf16(each["name"]) + text.utf16(each["value"]) for each in fields)
    room = min(MAX_DESCRIPTION, MAX_TOTAL - used)
    links = _links(notice, room // 2)
    body = text.fit(text.lines(notice), room - text.utf16(links), _escaped, text.utf16)
    return {
        "title": title,
        "description": f"{body}{links}".strip(),
        "color": text.colour(notice),
        "timestamp": rfc3339(notice.at),
        "fields": fields,
    }


def _field(fact: text.Fact) -> dict[str, Any]:
    value = text.fit([fact.value], MAX_FIELD, _escaped, text.utf16)
    return {"name": fact.label[:MAX_FIELD_NAME], "value": value, "inline": True}


def _links(notice: Notice, room: int) -> str:
    """The links that have room, as one line of their own."""
    line = ""
    for link in notice.links:
        shown = f"[{_escaped(text.plain(link.label, 80))}](<{quote(link.url, safe=':/?#[]@!$&*+,;=%~')}>)"
        longer = f"{line} · {shown}" if line else f"\n{shown}"
        if text.utf16(longer) <= room:
            line = longer
    return line


def _escaped(line: str) -> str:
    """Markup, mentions and emoji shown as they are written; what might become a link as code."""
    return "".join(f"`{piece}`" if is_name else _MARKUP.sub(r"\\\1", piece) for piece, is_name in text.pieces(line))
