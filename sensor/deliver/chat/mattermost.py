"""Mattermost, by an incoming webhook. What it posted cannot be edited: a resolved alert is a message of its own."""

import re
from dataclasses import dataclass
from typing import Any

from sensor.deliver.http import UrlSettings, UrlSink
from sensor.deliver.notice import Notice
from sensor.deliver.text import colour, cut, defang, facts, fit, heading, lines, marked

MAX_TEXT = 4_000
"""Characters of a post: PostMessageMaxRunesV1 in server/public/model/post.go; newer databases take 16,383."""
MAX_TITLE = 300


@dataclass(frozen=True)
class Settings(UrlSettings):
    """Keys of [[sink]] with type = "mattermost"."""


class Mattermost(UrlSink):
    """Words that could ping or link are code: neither the server nor its clients look for mentions in there."""

    settings_type = Settings
    pause = 1.0
    """RateLimitSettings.PerSec is 10 for all that one address does; a person reads no faster than this."""

    async def send(self, notice: Notice, earlier: str | None) -> str | None:
        """Always a message of its own."""
        await self.post(body(notice))
        return None


PLUGIN = Mattermost


def escape(text: str) -> str:
    """Every ASCII punctuation mark may be escaped by a backslash (CommonMark 2.4); entities and HTML go with it."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)


def line(text: str) -> str:
    """Escaped, with look-alikes of links and pings as code."""
    return marked(text, lambda name: f"`{name}`", escape)


def body(notice: Notice) -> dict[str, Any]:
    """One attachment: heading, lines, links, facts."""
    links = "".join(f"\n[{escape(link.label)}]({_target(link.url)})" for link in notice.links)
    links = links if len(links) <= MAX_TEXT // 2 else ""
    title = cut(defang(heading(notice)), MAX_TITLE)
    return {
        "attachments": [
            {
                "fallback": escape(title),
                "color": f"#{colour(notice):06x}",
                "title": escape(title),
                "text": fit(lines(notice), MAX_TEXT - len(links), line) + links,
                "fields": [{"title": fact.label, "value": line(fact.value), "short": True} for fact in facts(notice)],
            }
        ]
    }


def _target(url: str) -> str:
    return "".join(char if char.isalnum() or char in "-._~:/?#@!$&+,;=%" else f"%{ord(char):02X}" for char in url)
