"""Slack, by an incoming webhook. What it posted cannot be edited: a resolved alert is a message of its own."""

from dataclasses import dataclass
from typing import Any

from sensor.deliver.http import UrlSettings, UrlSink
from sensor.deliver.notice import Notice
from sensor.deliver.text import colour, cut, defang, facts, fit, heading, lines

MAX_TEXT = 4_000
"""Characters of `text`; docs.slack.dev/changelog/2018-truncating-really-long-messages: recommended up to 4,000."""
MAX_SECTION = 3_000
"""Characters of a section's text; docs.slack.dev/reference/block-kit/blocks/section-block."""
MAX_FIELDS, MAX_FIELD = 10, 2_000
"""Fields of a section and characters of each; the same page."""
MAX_LINK = 3_000
"""Characters of a context block's text; docs.slack.dev/reference/block-kit/composition-objects/text-object."""


@dataclass(frozen=True)
class Settings(UrlSettings):
    """Keys of [[sink]] with type = "slack"."""


class Slack(UrlSink):
    """All that others chose is `plain_text`, where Slack reads no markup, with & < > escaped all the same.

    docs.slack.dev/reference/block-kit/composition-objects/text-object
    """

    settings_type = Settings
    pause = 1.0
    """docs.slack.dev/apis/web-api/rate-limits: incoming webhooks, 1 per second."""

    async def send(self, notice: Notice, earlier: str | None) -> str | None:
        """Always a message of its own."""
        await self.post(body(notice))
        return None


PLUGIN = Slack


def escape(text: str) -> str:
    """docs.slack.dev/messaging/formatting-message-text#escaping: these three are Slack's only control characters."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def body(notice: Notice) -> dict[str, Any]:
    """Heading, lines, facts, links."""
    measured = [{"type": "section", "fields": fields}] if (fields := _fields(notice)) else []
    links = " | ".join(f"<{escape(link.url).replace('|', '%7C')}|{escape(link.label)}>" for link in notice.links)
    told = fit(map(defang, lines(notice)), MAX_SECTION, escape)
    blocks = [
        *([{"type": "section", "text": _plain(told)}] if told else []),
        *measured,
        *([{"type": "context", "elements": [{"type": "mrkdwn", "text": links}]}] if _fits(links) else []),
    ]
    return {
        "text": fit([defang(heading(notice))], MAX_TEXT, escape),
        "mrkdwn": False,
        "unfurl_links": False,
        "unfurl_media": False,
        **({"attachments": [{"color": f"#{colour(notice):06x}", "blocks": blocks}]} if blocks else {}),
    }


def _fits(links: str) -> bool:
    return 0 < len(links) <= MAX_LINK


def _fields(notice: Notice) -> list[dict[str, Any]]:
    shown = [f"{fact.label}: {defang(fact.value)}" for fact in facts(notice)]
    return [_plain(escape(cut(field, MAX_FIELD // 5))) for field in shown[:MAX_FIELDS]]


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}
