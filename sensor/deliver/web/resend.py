"""/outbox: messages that were given up, and a form to send them again; it takes the token of [web]."""

from urllib.parse import parse_qs

from aiohttp import web

from sensor.deliver.delivery import Delivery
from sensor.deliver.web.admin import Admin
from sensor.deliver.web.intake import read_post
from sensor.deliver.web.markup import cell, form, hidden, moment, page, paragraph, password, table
from sensor.deliver.web.waiting import BUSY
from sensor.errors import StoreError
from sensor.model.letter import Letter
from sensor.model.posted import MAX_BODY, Posted

MAX_ROWS = 200
"""Messages on the page, the latest."""

NO_LOGIN = (
    "To send them again, the sensor needs a token: openssl rand -hex 16 makes one; put it into a file, name the file "
    "as token_file under [web] in the settings, and restart the sensor."
)


class Resend:
    """The handlers."""

    def __init__(self, delivery: Delivery, admin: Admin) -> None:
        """`admin`: who may send again."""
        self._delivery = delivery
        self._admin = admin

    def routes(self) -> list[web.RouteDef]:
        """Both."""
        return [web.get("/outbox", self.show), web.post("/outbox", self.again)]

    async def show(self, _: web.Request) -> web.Response:
        """What was given up, by sink."""
        try:
            letters = await self._delivery.dead_letters()
        except StoreError:
            return page(["<h2>Not now</h2>", paragraph(BUSY)], 503)
        if not letters:
            return page(["<h2>Messages that were given up</h2>", paragraph("None.")])
        dead = self._delivery.journal.dead
        open_sinks = [outbox.name for outbox in self._delivery.outboxes if outbox.gone is None]
        forms = [
            form(
                "/outbox",
                f"Send {dead[sink]:,} to {sink} again",
                hidden("sink", sink),
                password("token", "Token of [web]"),
            )
            for sink in open_sinks
            if dead.get(sink)
        ]
        latest = letters[::-1][:MAX_ROWS]
        heads = ("made", "sink", "severity", "tries", "message", "why it did not arrive")
        return page(
            [
                "<h2>Messages that were given up</h2>",
                *(forms if self._admin.has_token else [paragraph(NO_LOGIN)]),
                table("dead", heads, (_cells(letter) for letter in latest)),
                paragraph(f"and {len(letters) - MAX_ROWS:,} older ones") if len(letters) > MAX_ROWS else "",
            ]
        )

    async def again(self, request: web.Request) -> web.Response:
        """Sends all of a sink again, for whoever has the token."""
        posted = await read_post(request)
        if isinstance(posted, web.Response):
            return posted
        if len(posted.body) > MAX_BODY:
            return page(["<h2>Not sent</h2>", paragraph("That is no form of this page."), _back()], 413)
        sink, token = _fields(posted)
        refusal = self._admin.refusal(Posted(b"", authorization=f"Bearer {token}", sender=posted.sender))
        if refusal is not None:
            why = "That is not the token." if refusal.status == 401 else str(refusal.body["error"])
            how = paragraph(NO_LOGIN) if refusal.status == 403 else ""
            return page(["<h2>Not sent</h2>", paragraph(why), how, _back()], refusal.status)
        try:
            count = await self._delivery.replay(None, sink)
        except LookupError:
            return page(["<h2>Not sent</h2>", paragraph("There is no such sink, or it is gone."), _back()], 404)
        except StoreError:
            return page(["<h2>Not now</h2>", paragraph(BUSY), _back()], 503)
        said = (
            f"{count:,} message{'' if count == 1 else 's'} wait{'s' if count == 1 else ''} to be sent to {sink} again."
        )
        return page(["<h2>Queued</h2>", paragraph(said), _back()])


def _fields(posted: Posted) -> tuple[str, str]:
    """(sink, token); empty where they are missing, or what was sent is no form."""
    if posted.content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        return "", ""
    try:
        found = parse_qs(posted.body.decode("ascii"), max_num_fields=4)
    except ValueError:
        return "", ""
    return found.get("sink", [""])[0], found.get("token", [""])[0]


def _cells(letter: Letter) -> tuple[str, ...]:
    return (
        cell(moment(letter.at)),
        cell(letter.sink),
        cell(letter.severity, letter.severity),
        cell(letter.attempts),
        cell(letter.title),
        cell(letter.error or ""),
    )


def _back() -> str:
    return '<p><a href="/outbox">Messages that were given up</a></p>'
