"""Telegram, by a bot. A resolved alert edits its message; a reminder answers it."""

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sensor.deliver.http import Answer, HttpSink, server_url
from sensor.deliver.notice import Notice
from sensor.deliver.secret import Secret, checked, one_of
from sensor.deliver.text import cut, defang, facts, fit, heading, html, html_line, lines, pieces, utf16

MAX_TEXT = 4_096
"""UTF-16 units after entities are parsed; core.telegram.org/bots/api#sendmessage."""
MAX_HEADING = 256
MAX_CODES = 80
"""Of the 100 entities that a message may have, beyond which there would be links again; found by experiment, says
MAX_MESSAGE_ENTITIES in docs.python-telegram-bot.org/en/stable/telegram.constants.html."""


class ChatId(str):
    """A chat's number (of a group it is negative), or a public channel's @name."""

    __slots__ = ()
    example = "-1001234567890"
    accepts: ClassVar[tuple[type, ...]] = (str, int)

    def __new__(cls, value: str | int) -> "ChatId":
        """ValueError for anything else."""
        if not re.fullmatch(r"-?[0-9]{1,20}|@[A-Za-z0-9_]{4,32}", text := str(value).strip(), re.ASCII):
            raise ValueError("expected the chat's number, like -1001234567890, or a channel's @name")
        return super().__new__(cls, text)


def bot_token(token: str) -> None:
    """ValueError, without it: it is not what @BotFather gives."""
    if not re.fullmatch(r"[0-9]{1,20}:[A-Za-z0-9_-]{20,100}", token, re.ASCII):
        raise ValueError("expected what @BotFather gives, digits, a colon and about 35 letters")


@dataclass(frozen=True)
class Settings:
    """Keys of [[sink]] with type = "telegram"."""

    chat_id: ChatId
    """The bot must be in that chat, or have been written to by that person."""
    token: str = field(default="", repr=False)
    token_file: str = ""
    """One of the two; @BotFather gives it."""
    thread_id: int = 0
    """The topic's number in a group that has topics; 0: none."""
    server: str = "https://api.telegram.org"
    """Another one is a Bot API server of one's own."""
    ca_file: str = ""
    """Certificates (PEM) that vouch for the server instead of the system's."""

    def __post_init__(self) -> None:
        """ValueError: not exactly one token, or something is none."""
        one_of("token", self.token, self.token_file)
        checked("token", self.token, bot_token)
        checked("server", self.server, server_url)
        if self.thread_id < 0:
            raise ValueError("thread_id: expected 0 or the topic's number")


class Telegram(HttpSink):
    """HTML, with whatever Telegram would make a link, a mention or a command of as code."""

    settings_type = Settings
    pause = 3.0
    """core.telegram.org/bots/faq#my-bot-is-hitting-limits: 20 messages per minute to the same group."""

    def __init__(self, name: str, settings: Settings, version: str) -> None:
        self._token = Secret("token", settings.token, settings.token_file, bot_token)
        super().__init__(name, version, settings.ca_file, self._token)
        self._server = settings.server.rstrip("/")
        chat = settings.chat_id
        self._chat: int | str = str(chat) if chat.startswith("@") else int(chat)
        self._topic = {"message_thread_id": settings.thread_id} if settings.thread_id else {}

    async def send(self, notice: Notice, earlier: str | None) -> str | None:
        """Resolved: the earlier message is edited, if it still can be; otherwise it is answered."""
        said = {"text": text(notice), "parse_mode": "HTML", "link_preview_options": {"is_disabled": True}}
        known = int(earlier) if earlier and re.fullmatch(r"[0-9]{1,18}", earlier, re.ASCII) else None
        if known is not None and notice.state == "resolved" and await self._edited(known, said):
            return earlier
        beside: dict[str, Any] = {**said, **self._topic, "disable_notification": notice.state == "resolved"}
        if known is not None:
            beside["reply_parameters"] = {"message_id": known, "allow_sending_without_reply": True}
        answer = await self._call("sendMessage", beside)
        _judge(answer)
        result = answer.json().get("result")
        number = result.get("message_id") if isinstance(result, dict) else None
        return str(number) if isinstance(number, int) else None

    async def _edited(self, known: int, said: dict[str, Any]) -> bool:
        """False: that message is gone, or too old to be edited."""
        answer = await self._call("editMessageText", {"message_id": known, **said})
        if answer.status == 400:
            return "message is not modified" in str(answer.json().get("description"))
        _judge(answer)
        return True

    async def _call(self, method: str, values: dict[str, Any]) -> Answer:
        url = f"{self._server}/bot{self._token.reveal()}/{method}"
        return await self.http.send_json(url, {"chat_id": self._chat, **values})


PLUGIN = Telegram


def text(notice: Notice) -> str:
    """HTML: heading, lines, facts, links."""
    title = cut(defang(heading(notice)), MAX_HEADING, lambda part: utf16(_inert(part)))
    head = f"<b>{_inert(html(title))}</b>"
    measured = [f"{fact.label}: {fact.value}" for fact in facts(notice)]
    links = [f'<a href="{html(link.url)}">{html(link.label)}</a>' for link in notice.links]
    shown = [*lines(notice), *([""] if measured else []), *measured]
    names = sum(is_name for line in shown for _, is_name in pieces(line))
    line = _line if names <= MAX_CODES else _plain_line
    room = MAX_TEXT - MAX_HEADING - sum(utf16(link) + 2 for link in links) - 2
    return "\n".join([head, fit(shown, room, line, utf16), *links]).replace("\n\n\n", "\n\n")


def _judge(answer: Answer) -> None:
    told = answer.json()
    parameters = told.get("parameters")
    wait = parameters.get("retry_after") if isinstance(parameters, dict) else None
    answer.judge(wait=float(wait) if isinstance(wait, int | float) else None, said=told.get("description"))


def _line(line: str) -> str:
    return _inert(html_line(line))


def _plain_line(line: str) -> str:
    return _inert(html(defang(line)))


def _inert(markup: str) -> str:
    """Commands and hashtags would become links, too (core.telegram.org/bots/api#messageentity)."""
    return re.sub(r"(?<!\S)([/#$])(?=\w)", "\\1\u2060", markup)
