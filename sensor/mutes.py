"""`idlewire mute`, `allow`, `acknowledge`, `mutes`, `unmute`, `maintenance`: what a person says about alerts."""

import getpass
import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from sensor.ask import Daemon, Refused, here, said
from sensor.base import tokens
from sensor.base.text import printable
from sensor.config import Config
from sensor.errors import ConfigError, SensorError

PATH = "/api/v1/mutes"

PAGE = 500
"""Rows asked for at once."""

VERBS = {
    "mute": "muted", "allow": "allowed", "acknowledge": "acknowledged", "maintenance": "maintenance: nothing is told",
}  # fmt: skip

Row = dict[str, Any]


class Mutes:
    """What the commands do, each giving the lines to print. SensorError."""

    def __init__(self, config: Config, now: int) -> None:
        """`now`: ns, to show times by."""
        self._config = config
        self._daemon = Daemon(config)
        self._now = now

    def make(self, wanted: Mapping[str, str]) -> str:
        """A mute, an allowance or maintenance, in the keys of the API."""
        return self._made(self._post(PATH, wanted))

    def acknowledge(self, alert: str, note: str | None) -> str:
        """An alert by its id or the beginning of it."""
        firing = [row for row in self._firing() if str(row.get("id", "")).startswith(alert)]
        if len(firing) != 1:
            which = "several alerts fire whose ids begin" if firing else "no alert fires whose id begins"
            raise SensorError(f"{which} with {printable(alert, 40)}; idlewire acknowledge shows those that fire")
        path = f"/api/v1/alerts/{quote(str(firing[0]['id']), safe='')}/acknowledge"
        return self._made(self._post(path, {"note": note} if note else {}))

    def firing(self) -> str:
        """The alerts that fire now, with their ids."""
        lines = [
            f"{_text(row.get('id'))}  {_text(row.get('severity')):8}  {_text(row.get('summary'), 1_000)}"
            f"{' (' + _text(row['muted']) + ')' if row.get('muted') else ''}"
            for row in self._firing()
        ]
        return "\n".join(lines) or "no alert fires now"

    def undo(self, identity: str, note: str | None) -> str:
        """Takes back the ruling of that id."""
        path = f"{PATH}/{quote(identity, safe='')}/undo"
        row = self._post(path, {"note": note} if note else {})
        if row.get("state") == "undone":
            return f"taken back: {self._about(row)}{_unstored(row)}"
        return f"it was over already: {self._about(row)}"

    def over(self, note: str | None) -> str:
        """Ends all maintenance."""
        running = [row for row in self._rows("active") if row.get("action") == "maintenance"]
        for row in running:
            self.undo(str(row.get("id")), note)
        return "maintenance is over; what still fires is told now" if running else "there is no maintenance"

    def listing(self, *, past: bool, as_json: bool) -> str:
        """What holds; `past`: what did, too."""
        rows = self._rows(None if past else "active")
        if as_json:
            return json.dumps({"mutes": rows}, indent=1)
        return "\n".join(self._line(row) for row in rows) or "nothing is muted"

    def _firing(self) -> list[Row]:
        return [row for row in self._pages("/api/v1/alerts", "alerts", "") if row.get("state") == "firing"]

    def _rows(self, state: str | None) -> list[Row]:
        return self._pages(PATH, "mutes", f"&state={state}" if state else "")

    def _pages(self, path: str, noun: str, query: str) -> list[Row]:
        rows: list[Row] = []
        cursor: object = ""
        while cursor is not None:
            more = f"&cursor={quote(str(cursor), safe='')}" if cursor else ""
            status, answer = self._daemon.ask("GET", f"{path}?limit={PAGE}{query}{more}")
            found = answer.get(noun)
            if status != 200 or not isinstance(found, list):
                raise Refused(
                    f"what answers on {self._daemon.place} is no sensor of this version: {said(status, answer)}"
                )
            rows += [row for row in found if isinstance(row, dict)]
            cursor = answer.get("next") if found else None
        return rows

    def _post(self, path: str, body: Mapping[str, str]) -> Row:
        token = tokens.read(self._config.web.token, self._config.web.token_file, "web")
        if not token:
            raise ConfigError(
                "web.token_file: not set, so the sensor takes no orders: put a token into a file "
                "(openssl rand -hex 16), name it under [web], and restart the sensor"
            )
        status, answer = self._daemon.ask("POST", path, {"who": _who(), **body}, token)
        place = self._daemon.place
        if status == 401:
            raise Refused(f"the sensor on {place} does not know this token: it was started with another web.token_file")
        if status == 403:
            raise Refused(f"the sensor on {place} was started without web.token_file: restart it")
        if status != 200:
            raise Refused(f"the sensor on {place} did not take that: {said(status, answer)}")
        if "id" not in answer:
            raise Refused(f"what answers on {place} is no sensor: check web.listen")
        return answer

    def _made(self, row: Row) -> str:
        verb = VERBS.get(str(row.get("action")), "done")
        what = "" if row.get("action") == "maintenance" else f": {self._about(row)}"
        return f"{verb}{what}, {self._end(row)} (take it back: idlewire unmute {_text(row['id'])}){_unstored(row)}"

    def _line(self, row: Row) -> str:
        state = self._end(row) if row.get("state") == "active" else _text(row.get("state"))
        undone = f", taken back by {_text(row['undone_by'])}" if row.get("undone_by") else ""
        notes = [_text(row[key], 300) for key in ("note", "undone_note") if row.get(key)]
        note = f' "{"; ".join(notes)}"' if notes else ""
        by = f"by {_text(row.get('who'))}, {self._moment(row.get('made_at'))}"
        head = f"{_text(row.get('id'))}  {_text(row.get('action')):11}"
        return f"{head}  {self._about(row)}; {state}; {by}{undone}{note}"

    def _about(self, row: Row) -> str:
        names = {str(client.mac): str(client.name) for client in self._config.client}
        client = _text(row.get("client")) if row.get("client") else ""
        parts = [
            _text(row["detector"]) if row.get("detector") else "",
            f"client {names.get(client, client)}" if client else "",
            *(
                f"{part} {_text(row[part])}"
                for part in ("owner", "domain", "address", "port", "alert")
                if row.get(part)
            ),
        ]
        return ", ".join(part for part in parts if part) or "everything"

    def _end(self, row: Row) -> str:
        if row.get("action") == "acknowledge":
            return "until it is over"
        return "for ever" if row.get("until") is None else f"until {self._moment(row.get('until'))}"

    def _moment(self, written: object) -> str:
        try:
            return here(written, self._now)
        except ValueError:
            return _text(written, 40)


def _who() -> str:
    """Who types; with sudo, who did."""
    try:
        name = os.environ.get("SUDO_USER") or getpass.getuser()
    except (OSError, KeyError):
        name = str(os.getuid())
    return printable(name, 64)


def _unstored(row: Row) -> str:
    return "" if row.get("stored", True) else "; the disk refuses it: a restart of the sensor loses it"


def _text(value: object, limit: int = 200) -> str:
    return printable(str(value), limit)
