"""Prometheus' Alertmanager, which groups, silences and passes on.

It forgets an alert that says nothing of its end after `resolve_timeout` (5 minutes), and all alerts when it is started
again. So an alert that fires says that it ends in `hold`; all that go on are posted again each minute, as Prometheus
does, and the one that is over says when that was. What the sensor can no longer end disappears after `hold`.
"""

import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sensor.base.text import printable
from sensor.base.times import SECOND, rfc3339
from sensor.base.units import Duration
from sensor.deliver import text
from sensor.deliver.http import Http, shown_place
from sensor.deliver.notice import Json, Notice
from sensor.deliver.secret import Secret, checked, one_of
from sensor.deliver.sink import Sink
from sensor.model.alert import SEVERITIES

PATH = "/api/v2/alerts"
MAX_LABEL, MAX_ANNOTATION = 200, 2_000
"""Characters. Alertmanager has no limit; these keep its page readable."""
MAX_URL = 2_000
"""Characters of `generatorURL`, which must be a URI (api/v2/openapi.yaml): what browsers open."""
TEST_SECONDS = 60
"""Until an alert that was only a try is over."""
MAX_POSTED = 100
"""Alerts in one post."""
SHORTEST_HOLD = Duration("5m")
"""Five posts: four may fail."""

_ANGLES = str.maketrans("<>", "\u2039\u203a")


@dataclass(frozen=True)
class Settings:
    """Keys of [[sink]] with type = "alertmanager"."""

    url: str = field(default="", repr=False)
    """The server with its path prefix: http://127.0.0.1:9093."""
    url_file: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    password_file: str = ""
    ca_file: str = ""
    """Certificates (PEM) that vouch for the server; empty: those of the system."""
    hold: Duration = Duration("15m")
    """How long an alert is firing there after it was last heard of from here."""

    def __post_init__(self) -> None:
        """ValueError: keys that contradict each other or are missing, or too short a hold."""
        one_of("url", self.url, self.url_file)
        one_of("password", self.password, self.password_file, needed=bool(self.username))
        checked("url", self.url, shown_place)
        if (self.password or self.password_file) and not self.username:
            raise ValueError("username: missing; a password needs one")
        if self.hold < SHORTEST_HOLD:
            raise ValueError(f"hold: expected at least 5m, got {self.hold.seconds:g}s")


class Alertmanager(Sink):
    """Holds on to the severity that an alert had: it is a label, and other labels are another alert there."""

    settings_type = Settings
    groups = False
    pause = 0.05
    """It has no limit."""
    renew_seconds = 60.0

    def __init__(self, name: str, settings: Settings, version: str) -> None:
        super().__init__(name, version)
        self._url = Secret("url", settings.url, settings.url_file, shown_place)
        self._password = Secret("password", settings.password, settings.password_file, _any)
        self._username = settings.username
        self._hold = int(settings.hold)
        self._http = Http(version, settings.ca_file)

    def __repr__(self) -> str:
        return f"Alertmanager({self.name!r})"

    def prepare(self) -> None:
        self._url.prepare(self.name)
        self._password.prepare(self.name)
        self._http.prepare(self.name)

    async def open(self) -> None:
        await self._http.open()

    async def send(self, notice: Notice, earlier: str | None) -> str | None:
        body = [_posted(alert, notice, self._hold) for alert in notice.alerts]
        if earlier in SEVERITIES and earlier != notice.severity:
            now = rfc3339(notice.at)
            body += [
                {**posted, "labels": {**posted["labels"], "severity": earlier}, "endsAt": max(now, posted["startsAt"])}
                for posted in body
            ]
        if not body:
            return earlier
        await self._post(body)
        return notice.severity

    async def renew(self, firing: Sequence[Notice]) -> None:
        for at in range(0, len(firing), MAX_POSTED):
            part = firing[at : at + MAX_POSTED]
            await self._post([_posted(alert, notice, self._hold) for notice in part for alert in notice.alerts])

    async def _post(self, body: list[Json]) -> None:
        answer = await self._http.send_json(self._url.reveal().rstrip("/") + PATH, body, self._login())
        answer.judge()

    async def close(self) -> None:
        await self._http.close()

    def _login(self) -> dict[str, str]:
        if not self._username:
            return {}
        pair = f"{self._username}:{self._password.reveal()}".encode()
        return {"authorization": f"Basic {b64encode(pair).decode('ascii')}"}


PLUGIN = Alertmanager


def _posted(alert: Json, notice: Notice, hold: int) -> Json:
    """One `postableAlert` (api/v2/openapi.yaml)."""
    starts = alert["started_at"]
    if notice.kind == "test":
        ends = rfc3339(notice.at + TEST_SECONDS * SECOND)
    elif alert["state"] == "resolved":
        ends = max(alert["resolved_at"] or rfc3339(notice.at), starts)
    else:
        # It may have waited for days until Alertmanager could be reached.
        ends = rfc3339(max(time.time_ns(), _nanoseconds(starts)) + hold)
    posted: Json = {
        "labels": _labels(alert),
        "annotations": _annotations(alert, notice),
        "startsAt": starts,
        "endsAt": ends,
    }
    if notice.links and len(notice.links[0].url) <= MAX_URL:
        posted["generatorURL"] = notice.links[0].url
    return posted


def _labels(alert: Json) -> dict[str, str]:
    """What stays the same as long as the alert is the same one: with other labels its end would not find it."""
    client = alert["client"]
    labels = {
        "alertname": alert["detector"],
        "detector": alert["detector"],
        "severity": alert["severity"],
        "client": client["mac"] or next(iter(client["addresses"]), ""),
        "fingerprint": alert["fingerprint"],
        "sensor": alert["sensor"]["name"],
    }
    return {key: printable(value, MAX_LABEL) for key, value in labels.items() if value}


def _annotations(alert: Json, notice: Notice) -> dict[str, str]:
    client = alert["client"]
    values = {
        "summary": alert["summary"],
        "description": "; ".join(f"{fact.label}: {fact.value}" for fact in text.facts(notice)),
        "client_name": client["name"] or "",
        "client_vendor": client["vendor"] or "",
        **{f"link_{at}": f"{link.label}: {link.url}" for at, link in enumerate(notice.links, 1)},
    }
    return {
        key: value[:MAX_ANNOTATION] if key.startswith("link_") else _inert(value)
        for key, value in values.items()
        if value
    }


def _inert(value: str) -> str:
    """Alertmanager's templates hand annotations to chats as they are: no `<!channel>`, no links, no pings."""
    return text.cut(text.defang(text.plain(value, MAX_ANNOTATION)).translate(_ANGLES), MAX_ANNOTATION)


def _nanoseconds(written: str) -> int:
    return int(datetime.fromisoformat(written).timestamp() * SECOND)


def _any(_: str) -> None:
    """A password may be anything."""
