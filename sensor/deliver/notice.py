"""What goes to a sink: one state of one alert, or several alerts that are told together."""

from dataclasses import dataclass
from typing import Any, Literal

from sensor.model.alert import Severity, State

Kind = Literal["alert", "group", "digest", "rest", "test"]
"""One alert; several of one client; what quiet hours held back; what a cap held back, as a number; a try."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Link:
    """Something that a reader may want to do; following it shows a page and changes nothing."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Notice:
    """One message. It is stored as JSON before it is sent for the first time."""

    id: str
    """Of this message: the same in all tries and for all sinks, so that receivers can tell repeats."""
    key: str
    """What it is about: the alert's id, or the group's. Messages of one key come in order, and may edit each other."""
    kind: Kind
    state: State
    severity: Severity
    at: int
    """ns: when it was made."""
    title: str
    """One line."""
    lines: tuple[str, ...]
    """What happened, in sentences: plain text whose names others chose; every sink escapes it in its own way."""
    alerts: tuple[Json, ...] = ()
    """The ALERT objects that it tells of."""
    links: tuple[Link, ...] = ()

    def to_json(self) -> Json:
        """As JSON values."""
        return {
            "id": self.id, "key": self.key, "kind": self.kind, "state": self.state, "severity": self.severity,
            "at": self.at, "title": self.title, "lines": list(self.lines), "alerts": list(self.alerts),
            "links": [[link.label, link.url] for link in self.links],
        }  # fmt: skip

    @classmethod
    def from_json(cls, values: Json) -> "Notice":
        """From what `to_json` gave. ValueError where it is anything else."""
        try:
            return cls(
                values["id"], values["key"], values["kind"], values["state"], values["severity"], values["at"],
                values["title"], tuple(values["lines"]), tuple(values["alerts"]),
                tuple(Link(label, url) for label, url in values["links"]),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no notice: {error!r}") from None


def client_of(alert: Json) -> str:
    """The id of the client that an ALERT is about."""
    client = alert["client"]
    return str(client["mac"] or next(iter(client["addresses"]), "other"))


def single(alert: Json, at: int) -> Notice:
    """The notice of one state of one alert."""
    over = "" if alert["state"] == "firing" else "over: "
    return Notice(
        id=f"{alert['id']}.{alert['state']}",
        key=alert["id"],
        kind="alert",
        state=alert["state"],
        severity=alert["severity"],
        at=at,
        title=f"{over}{alert['detector'].replace('_', ' ')}",
        lines=(alert["summary"],),
        alerts=(alert,),
    )
