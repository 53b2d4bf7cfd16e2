"""GET /api/v1/outbox and POST /api/v1/outbox/replay: what waits for the sinks, what was given up, and once more."""

from aiohttp import web

from sensor.base.times import rfc3339
from sensor.deliver.delivery import Delivery
from sensor.deliver.outbox import Outbox
from sensor.deliver.shapes import Json, json_bytes, text
from sensor.deliver.web.admin import Admin, read_object
from sensor.deliver.web.intake import post_route
from sensor.deliver.web.paging import page
from sensor.deliver.web.security import problem
from sensor.errors import StoreError
from sensor.model.letter import Letter
from sensor.model.posted import Answer, Posted, refused

BUSY = "the disk does not answer now; try again later"
_WANTED = 'body: expected {"id": 17} with the id of a dead message, or {"sink": "NAME"} for all of a sink'


class Waiting:
    """The handlers."""

    def __init__(self, delivery: Delivery, admin: Admin) -> None:
        """`admin`: who may send again."""
        self._delivery = delivery
        self._admin = admin

    def routes(self) -> list[web.RouteDef]:
        """Both."""
        return [web.get("/api/v1/outbox", self.listing), post_route("/api/v1/outbox/replay", self.replay)]

    async def listing(self, request: web.Request) -> web.Response:
        """`{"sinks": [row], "messages": [row], "next"}`, oldest first; `?state=waiting|dead`, `?sink=NAME`."""
        state, sink = request.query.get("state"), request.query.get("sink")
        if state not in (None, "waiting", "dead"):
            return problem(400, "state: must be waiting or dead")
        try:
            letters = [] if state == "waiting" else await self._delivery.dead_letters()
        except StoreError:
            return problem(503, BUSY)
        if state != "dead":
            letters += [letter for outbox in self._delivery.outboxes for letter in outbox.letters()]
        try:
            chosen = [letter for letter in letters if sink in (None, letter.sink)]
            rows, cursor = page(chosen, _order, request.query)
        except ValueError as error:
            return problem(400, str(error))
        dead = self._delivery.journal.dead
        answer: Json = {
            "sinks": [_sink(outbox, dead.get(outbox.name, 0)) for outbox in self._delivery.outboxes],
            "messages": [_message(letter) for letter in rows],
        }
        if cursor is not None:
            answer["next"] = cursor
        return web.Response(body=json_bytes(answer), content_type="application/json")

    async def replay(self, posted: Posted) -> Answer:
        """`{"id": n}` or `{"sink": name}` -> `{"replayed": n}`."""
        if (refusal := self._admin.refusal(posted)) is not None:
            return refusal
        body = read_object(posted, ("id", "sink"))
        if isinstance(body, Answer):
            return body
        number, sink = body.get("id"), body.get("sink")
        is_number = isinstance(number, int) and not isinstance(number, bool) and 0 < number < 1 << 63
        if not ((is_number and sink is None) or (number is None and isinstance(sink, str))):
            return refused(400, _WANTED)
        try:
            count = await self._delivery.replay(number, sink)
        except LookupError:
            return refused(404, "no such sink, or it is gone until the sensor is started again")
        except StoreError:
            return refused(503, BUSY)
        if not count and number is not None:
            return refused(404, "no dead message has this id, or its sink takes none")
        return Answer(200, {"replayed": count})


def _order(letter: Letter) -> tuple[int, str, str]:
    """What has no number yet is the newest."""
    return letter.number or 1 << 62, letter.sink, letter.notice


def _sink(outbox: Outbox, dead: int) -> Json:
    failing = "gone" if outbox.gone is not None else "failing" if outbox.last_error is not None else "working"
    return {
        "sink": text(outbox.name),
        "state": failing,
        "error": text(outbox.last_error),
        "waiting": outbox.waiting,
        "dead": dead,
        "oldest_age_seconds": round(outbox.oldest_seconds(), 3),
        "outcomes": dict(outbox.outcomes.items()),
    }


def _message(letter: Letter) -> Json:
    return {
        "id": letter.number,
        "sink": text(letter.sink),
        "message": text(letter.notice),
        "key": text(letter.key),
        "severity": letter.severity,
        "title": text(letter.title),
        "state": letter.fate,
        "attempts": letter.attempts,
        "created_at": rfc3339(letter.at),
        "next_at": None if letter.next_at is None else rfc3339(letter.next_at),
        "error": text(letter.error),
    }
