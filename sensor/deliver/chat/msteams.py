"""Microsoft Teams, by the workflow "Post to a channel when a webhook request is received": one Adaptive Card."""

import json
from dataclasses import dataclass
from typing import Any

from sensor.deliver.http import UrlSettings, UrlSink
from sensor.deliver.notice import Notice
from sensor.deliver.text import cut, defang, facts, fit, heading, lines

MAX_BODY = 21_000
"""Bytes of the JSON: learn.microsoft.com/connectors/teams says about 28 KB with all that Teams adds; others measured
413 from 21 KB on."""
MAX_LINES = 10_000
"""Bytes of the lines in it."""
MAX_HEADING = 300
MAX_ACTIONS = 6
"""learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-reference: actions of a card."""

COLOURS = {"info": "Accent", "warning": "Warning", "critical": "Attention"}
"""adaptivecards.io/explorer/TextRun.html: color."""


@dataclass(frozen=True)
class Settings(UrlSettings):
    """Keys of [[sink]] with type = "msteams"."""


class MsTeams(UrlSink):
    """All text is in TextRuns: Teams reads Markdown in TextBlocks and Facts only, and a mention would need an entity.

    learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-format
    """

    settings_type = Settings
    pause = 1.0
    """learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook: more than 4
    requests in a second are throttled."""

    async def send(self, notice: Notice, earlier: str | None) -> str | None:
        """Always a message of its own."""
        await self.post(body(notice))
        return None


PLUGIN = MsTeams


def body(notice: Notice) -> dict[str, Any]:
    """The message with its card: heading, lines, facts, buttons."""
    tint = "Good" if notice.state == "resolved" else COLOURS[notice.severity]
    title = _run(cut(defang(heading(notice)), MAX_HEADING), weight="Bolder", size="Medium", color=tint)
    told = fit(map(defang, lines(notice)), MAX_LINES, measure=_bytes)
    measured = [
        _block(_run(f"{fact.label}: ", weight="Bolder"), _run(defang(fact.value)), spacing="None")
        for fact in facts(notice)
    ]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [_block(title), *(_block(_run(line)) for line in told.split("\n") if line), *measured],
        "actions": [
            {"type": "Action.OpenUrl", "title": link.label, "url": link.url} for link in notice.links[:MAX_ACTIONS]
        ],
    }
    content = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [content]}


def _bytes(text: str) -> int:
    """As JSON, with what each line needs around it."""
    return len(json.dumps(text)) + 80 * (text.count("\n") + 1)


def _run(text: str, **style: str) -> dict[str, str]:
    return {"type": "TextRun", "text": text, **style}


def _block(*runs: dict[str, str], **style: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs), **style}
