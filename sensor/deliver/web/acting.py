"""/act/TOKEN: where links in messages lead. GET shows what would be done; only a POST of the form there does it."""

from collections.abc import Callable

from aiohttp import web

from sensor.base.units import span
from sensor.deliver.keeper import Keeper
from sensor.deliver.links import Expired, Links, Offer, ruling_id, ruling_of
from sensor.deliver.notice import Json
from sensor.deliver.shapes import alert_object
from sensor.deliver.snapshots import Snapshots
from sensor.deliver.wanted import MUTED, described
from sensor.deliver.web.markup import form, moment, page, paragraph, text
from sensor.model.ruling import Ruling

WHO = "link"

VERBS = {"mute": "Mute", "allow": "Allow", "acknowledge": "Acknowledge"}

TITLES = {
    "mute": f"Mute for {span(MUTED)}?", "allow": "Allow for ever?", "acknowledge": "Acknowledge?",
}  # fmt: skip

WHAT = {
    "mute": "nobody is told of such alerts; they stay on the page.",
    "allow": "Nobody is told of such alerts any more; they stay on the page.",
    "acknowledge": "There are no more reminders of this alert. Its end is still told.",
}

UNSTORED = "The disk refuses it: it holds, but a restart of the sensor loses it."


class Acting:
    """The handlers. Whoever has the token may do what it says, once, and take it back."""

    def __init__(
        self,
        links: Links,
        keeper: Keeper,
        snapshots: Snapshots,
        clock: Callable[[], int],
        called: Callable[[str], str] = str,
    ) -> None:
        """`clock`: ns since 1970; `called`: a client's name by its id."""
        self._links = links
        self._keeper = keeper
        self._snapshots = snapshots
        self._clock = clock
        self._called = called

    def routes(self) -> list[web.RouteDef]:
        """All under /act/."""
        return [
            web.get("/act/{token}", self.show),
            web.post("/act/{token}", self.act),
            web.post("/act/{token}/undo", self.undo),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """What the link would do, or has done; changes nothing."""
        offer = self._offer(request)
        if isinstance(offer, web.Response):
            return offer
        token, now = request.match_info["token"], self._clock()
        alert = self._alert(offer)
        ruling = self._ruling(offer, token, alert, now)
        if ruling is None:
            return _over()
        if self._keeper.rulings.get(ruling.id) is not None:
            return self._done(ruling, token, now)
        asked = paragraph(_until(ruling) + WHAT[offer.action])
        return page(
            [
                f"<h2>{text(TITLES[offer.action])}</h2>",
                *self._about(ruling, alert),
                asked,
                form(f"/act/{token}", VERBS[offer.action]),
                paragraph(f"This link acts until {moment(offer.expires * 10**9)}. Looking at it changes nothing."),
            ]
        )

    async def act(self, request: web.Request) -> web.Response:
        """Does it; a second time changes nothing."""
        offer = self._offer(request)
        if isinstance(offer, web.Response):
            return offer
        token, now = request.match_info["token"], self._clock()
        ruling = self._ruling(offer, token, self._alert(offer), now)
        if ruling is None:
            return _over()
        try:
            kept = await self._keeper.make(ruling, now)
        except ValueError as error:
            return page(["<h2>Not possible</h2>", paragraph(error)], 409)
        return self._done(kept.ruling, token, now, stored=kept.stored)

    async def undo(self, request: web.Request) -> web.Response:
        """Takes back what the link did."""
        offer = self._offer(request)
        if isinstance(offer, web.Response):
            return offer
        token, now = request.match_info["token"], self._clock()
        ruling = self._ruling(offer, token, self._alert(offer), now)
        kept = None if ruling is None else await self._keeper.undo(ruling.id, WHO, "", now)
        if kept is None:
            return page(["<h2>Nothing to take back</h2>", paragraph("This link did nothing so far.")], 404)
        return self._done(kept.ruling, token, now, stored=kept.stored)

    def _offer(self, request: web.Request) -> Offer | web.Response:
        try:
            return self._links.read(request.match_info["token"], self._clock())
        except Expired:
            return page(["<h2>This link is too old</h2>", paragraph("Take one from a later message.")], 410)
        except ValueError:
            why = "It was cut or changed on its way, or it is from before the sensor got a new key."
            return page(["<h2>This link is not valid</h2>", paragraph(why)], 403)

    def _alert(self, offer: Offer) -> Json | None:
        """As it stands now."""
        found = (each for each in self._snapshots.alerts() if offer.alert and each.fingerprint == offer.alert)
        alert = max(found, key=lambda each: (each.state == "firing", each.started_at), default=None)
        return None if alert is None else alert_object(alert, self._snapshots.sensor())

    def _ruling(self, offer: Offer, token: str, alert: Json | None, now: int) -> Ruling | None:
        """What it did, else what it would do; None: there is nothing left to do."""
        firing = alert if alert is not None and alert["state"] == "firing" else None
        try:
            ruling = ruling_of(offer, token, firing, now)
        except LookupError:
            return self._keeper.rulings.get(ruling_id(token))
        return self._keeper.rulings.get(ruling.id) or ruling

    def _about(self, ruling: Ruling, alert: Json | None) -> list[str]:
        """The alert in words, and which alerts are meant."""
        said = [paragraph(alert["summary"])] if alert is not None else []
        if ruling.action != "acknowledge":
            said.append(paragraph(f"Alerts like this: {described(ruling, self._called)}"))
        return said

    def _done(self, ruling: Ruling, token: str, now: int, *, stored: bool = True) -> web.Response:
        if not ruling.holds(now):
            how = f"taken back by {ruling.undone_by}" if ruling.undone_by else "over"
            when = moment(ruling.ended_at or ruling.until or now)
            parts = [f"<h2>{text(VERBS[ruling.action])}: {text(how)}</h2>", paragraph(f"Since {when}. {_again()}")]
        else:
            parts = [
                f"<h2>{text(VERBS[ruling.action])}: done</h2>",
                *self._about(ruling, None),
                paragraph(_until(ruling) + WHAT[ruling.action]),
                form(f"/act/{token}/undo", "Take it back"),
            ]
        return page([*parts, "" if stored else paragraph(UNSTORED, "warning")])


def _until(ruling: Ruling) -> str:
    return "" if ruling.until is None or ruling.action == "acknowledge" else f"Until {moment(ruling.until)} "


def _again() -> str:
    return "A link acts once: say it again with a later message, or with idlewire mute."


def _over() -> web.Response:
    return page(["<h2>This alert is over</h2>", paragraph("There is nothing to acknowledge any more.")], 410)
