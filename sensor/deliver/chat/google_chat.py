"""Google Chat, by a space's webhook; all messages about one alert are one thread."""

from dataclasses import dataclass
from typing import Any

from sensor.deliver.http import UrlSettings, UrlSink
from sensor.deliver.notice import Notice
from sensor.deliver.text import colour, cut, defang, facts, fit, heading, html, lines, utf8

MAX_BODY = 32_000
"""Bytes of a message with its cards; developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages."""
MAX_LINES = 8_000
"""Bytes of the lines in it; JSON in ASCII makes up to three times as many of them."""
MAX_HEADING = 200
MAX_THREAD_KEY = 4_000
"""Characters; spaces.messages#Thread."""
MAX_BUTTONS = 6
REPLY = "messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"
"""spaces.messages/create#MessageReplyOption: without it the thread's key is ignored."""


@dataclass(frozen=True)
class Settings(UrlSettings):
    """Keys of [[sink]] with type = "google_chat"."""


class GoogleChat(UrlSink):
    """Texts of cards are a little HTML; <users/all> and other mentions only work in messages without a card."""

    settings_type = Settings
    pause = 1.0
    """developers.google.com/workspace/chat/limits: 60 writes a minute to a space, shared by all its apps."""

    async def send(self, notice: Notice, earlier: str | None) -> str | None:
        """A message in the thread of its key."""
        await self.post(body(notice), REPLY)
        return None


PLUGIN = GoogleChat


def body(notice: Notice) -> dict[str, Any]:
    """A card: heading, lines, facts, buttons."""
    title = cut(defang(heading(notice)), MAX_HEADING)
    tint = f"#{colour(notice):06x}"
    told = fit(map(defang, lines(notice)), MAX_LINES, html, utf8).replace("\n", "<br>")
    widgets: list[dict[str, Any]] = [{"textParagraph": {"text": f'<font color="{tint}"><b>{html(title)}</b></font>'}}]
    if told:
        widgets.append({"textParagraph": {"text": told}})
    widgets += [
        {"decoratedText": {"topLabel": fact.label, "text": html(defang(fact.value)), "wrapText": True}}
        for fact in facts(notice)
    ]
    if notice.links:
        widgets.append(
            {"buttonList": {"buttons": [_button(link.label, link.url) for link in notice.links[:MAX_BUTTONS]]}}
        )
    return {
        "cardsV2": [{"cardId": "alert", "card": {"sections": [{"widgets": widgets}]}}],
        "fallbackText": title,
        "thread": {"threadKey": notice.key[:MAX_THREAD_KEY]},
    }


def _button(label: str, url: str) -> dict[str, Any]:
    return {"text": label, "onClick": {"openLink": {"url": url}}}
