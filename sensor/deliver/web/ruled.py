"""GET and POST /api/v1/mutes, their undoing, and POST /api/v1/alerts/ID/acknowledge: what people say about alerts."""

from collections.abc import Callable

from aiohttp import web

from sensor.deliver.keeper import Keeper, Kept
from sensor.deliver.shapes import Json, alert_object, json_bytes
from sensor.deliver.snapshots import Snapshots
from sensor.deliver.wanted import KEYS, Known, acknowledgement, new_ruling, read_note, shape
from sensor.deliver.web.admin import Admin, read_object
from sensor.deliver.web.intake import post_route
from sensor.deliver.web.paging import page
from sensor.deliver.web.security import problem
from sensor.model.posted import Answer, Posted, refused
from sensor.model.ruling import Ruling

WHO = "api"


class Ruled:
    """The handlers."""

    def __init__(
        self, keeper: Keeper, admin: Admin, snapshots: Snapshots, known: Known, clock: Callable[[], int]
    ) -> None:
        """`admin`: who may say something; `clock`: ns since 1970."""
        self._keeper = keeper
        self._admin = admin
        self._snapshots = snapshots
        self._known = known
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """All four."""
        return [
            web.get("/api/v1/mutes", self.listing),
            post_route("/api/v1/mutes", self.make),
            post_route("/api/v1/mutes/{id}/undo", self.undo),
            post_route("/api/v1/alerts/{id}/acknowledge", self.acknowledge),
        ]

    async def listing(self, request: web.Request) -> web.Response:
        """`{"mutes": [row], "next"}`, newest first; `?state=active|past`."""
        state, now = request.query.get("state"), self._clock()
        if state not in (None, "active", "past"):
            return problem(400, "state: must be active or past")
        chosen = [each for each in self._keeper.rulings if state is None or each.holds(now) == (state == "active")]
        try:
            rows, cursor = page(chosen, _newest_first, request.query)
        except ValueError as error:
            return problem(400, str(error))
        answer: Json = {"mutes": [shape(row, now) for row in rows]}
        if cursor is not None:
            answer["next"] = cursor
        return web.Response(body=json_bytes(answer), content_type="application/json")

    async def make(self, posted: Posted) -> Answer:
        """`{"action": ..., parts of the key, "for" or "until", "note", "who"}` -> the row and whether it is stored."""
        if (refusal := self._admin.refusal(posted)) is not None:
            return refusal
        body = read_object(posted, KEYS)
        if isinstance(body, Answer):
            return body
        now = self._clock()
        try:
            return self._kept(await self._keeper.make(new_ruling(body, self._known, WHO, now), now))
        except ValueError as error:
            return refused(400, str(error))

    async def undo(self, posted: Posted) -> Answer:
        """`{"note", "who"}` -> the row."""
        if (refusal := self._admin.refusal(posted)) is not None:
            return refusal
        body = read_object(posted, ("note", "who"))
        if isinstance(body, Answer):
            return body
        try:
            note, who = read_note(body, WHO)
        except ValueError as error:
            return refused(400, str(error))
        kept = await self._keeper.undo(posted.about, who, note, self._clock())
        return refused(404, "there is none of that id") if kept is None else self._kept(kept)

    async def acknowledge(self, posted: Posted) -> Answer:
        """`{"note", "who"}` -> the row; 404 where no such alert fires."""
        if (refusal := self._admin.refusal(posted)) is not None:
            return refusal
        body = read_object(posted, ("note", "who"))
        if isinstance(body, Answer):
            return body
        now = self._clock()
        firing = (each for each in self._snapshots.alerts() if each.id == posted.about and each.state == "firing")
        alert = next(firing, None)
        if alert is None:
            return refused(404, "no alert of that id fires now")
        try:
            note, who = read_note(body, WHO)
            shown = alert_object(alert, self._snapshots.sensor())
            return self._kept(await self._keeper.make(acknowledgement(shown, note, who, now), now))
        except ValueError as error:
            return refused(400, str(error))

    def _kept(self, kept: Kept) -> Answer:
        return Answer(200, {**shape(kept.ruling, self._clock()), "stored": kept.stored})


def _newest_first(ruling: Ruling) -> tuple[int, str]:
    return -ruling.made_at, ruling.id
