"""A person's own word, "I am not touching it until 15:00": `POST /api/v1/foreground/manual`, by API or `idlewire idle`.

Statements outlive a restart of the sensor in a small file.
"""

import asyncio
import logging
import threading
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sensor.base import tokens
from sensor.base.fields import is_mac
from sensor.base.text import printable
from sensor.base.times import SECOND, rfc3339
from sensor.base.units import Duration
from sensor.foreground.base import Source, SourceFacts
from sensor.foreground.history import client_id
from sensor.foreground.posts import OUTCOMES, Body, Gate, Refusal, read_body, text
from sensor.foreground.statements import Statement, read_statements, write_statements
from sensor.model.foreground import Report
from sensor.model.posted import Answer, Posted

LONGEST = 7 * 86_400 * SECOND
"""ns that a statement may reach ahead."""

MAX_STATEMENTS = 256
"""Clients of which one holds."""

MAX_NOTE = 200
"""Characters."""

KEYS = ("client", "state", "until", "for", "note")

FILE = "manual.json"
"""In the state folder."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """Keys of [foreground.manual]."""

    enabled: bool = True
    token: str = field(default="", repr=False)
    token_file: str = ""

    def __post_init__(self) -> None:
        """ValueError: both of token and token_file."""
        tokens.check(self.token, self.token_file)


class Manual(Source):
    """Takes statements, and holds them until they end or are withdrawn."""

    settings_type = Settings
    path = "/api/v1/foreground/manual"

    def __init__(self, settings: Settings, facts: SourceFacts) -> None:
        super().__init__(settings, facts)
        self.counts = dict.fromkeys(("accepted", "withdrawn", *OUTCOMES.values(), "file_error"), 0)
        self.statements: dict[str, Statement] = {}
        """Client id -> what holds of it, or has ended meanwhile."""
        self._settings = settings
        self._gate = Gate(())
        self._changed = asyncio.Event()
        self._writing = threading.Lock()
        self._unsaved = False

    def prepare(self) -> None:
        token = tokens.read(self._settings.token, self._settings.token_file, "foreground.manual")
        self._gate = Gate([tokens.digest(token)] if token else [])
        if not token:
            _log.warning("foreground.manual: no token is configured, so no statement is taken: set token_file")
        if self._file is not None:
            self._remember(self._file, self.facts.clock())

    async def run(self) -> None:
        """Writes down what was said, also on the way out."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                # Begun at once and not cancelled: a loop that ends waits for its threads.
                await asyncio.shield(loop.run_in_executor(None, self._save))
        finally:
            if self._changed.is_set():
                self._save()

    def accept(self, posted: Posted, now: int) -> Answer:
        try:
            self._gate.enter(posted, now)
            statement = self._statement(read_body(posted, KEYS), now)
        except Refusal as refusal:
            self.counts[OUTCOMES[refusal.answer.status]] += 1
            return refusal.answer
        client = statement.client
        holds, held_before = statement.until > now, client in self.statements
        others = {each.client: each for each in self.statements.values() if each.client != client}
        self.statements = {**others, client: statement} if holds else others
        if holds:
            self._report(statement, now)
        else:
            self.facts.withdraw(client, self.name)
        self.counts["accepted" if holds else "withdrawn"] += 1
        self._changed.set()
        return Answer(
            200,
            {
                "accepted": True,
                "client": printable(client),
                "name": printable(self.facts.called(client)),
                "state": "background" if holds else "none",
                "until": rfc3339(statement.until) if holds else None,
                "seen": self.facts.seen(client),
                "held_before": held_before,
            },
        )

    @property
    def _file(self) -> Path | None:
        return None if self.facts.state_dir is None else self.facts.state_dir / FILE

    def _statement(self, body: Body, now: int) -> Statement:
        """What is said; one that ends now takes back what was said before. Refusal: 400."""
        client = self._client(body)
        state = body.get("state")
        if state not in ("background", "none"):
            raise Refusal(400, 'state: expected "background" or "none"')
        until = now if state == "none" else _until(body, now)
        self.statements = {each.client: each for each in self.statements.values() if each.until > now}
        if len(self.statements) >= MAX_STATEMENTS and client not in self.statements and until > now:
            raise Refusal(400, f"client: statements hold of {MAX_STATEMENTS} clients already")
        return Statement(client, now, until, printable(text(body, "note", MAX_NOTE) or "", MAX_NOTE))

    def _client(self, body: Body) -> str:
        try:
            client = client_id(body.get("client"), self.facts.ids)
        except ValueError as error:
            raise Refusal(400, str(error)) from None
        if is_mac(client):
            return client
        owner = self.facts.whose(client)
        if owner is None:
            raise Refusal(400, f"client: no client has the address {client}; say its MAC, or its name under [[client]]")
        return owner

    def _report(self, statement: Statement, now: int) -> None:
        self.facts.report(
            Report(
                client=statement.client,
                source=self.name,
                event="screen_off",
                app=None,
                observed_at=statement.since,
                received_at=now,
                until=statement.until,
            )
        )

    def _remember(self, file: Path, now: int) -> None:
        """Takes up what held before a restart."""
        try:
            found = read_statements(file, MAX_STATEMENTS)
        except ValueError as error:
            self.counts["file_error"] += 1
            _log.warning("%s: statements are not taken up again: %s", file, error)
            return
        for statement in found:
            if statement.since <= now < statement.until <= now + LONGEST:
                self.statements[statement.client] = statement
        for statement in self.statements.values():
            self._report(statement, now)

    def _save(self) -> None:
        """In a thread; `statements` is replaced, never changed."""
        if self._file is None:
            return
        try:
            with self._writing:
                write_statements(self._file, self.statements.values())
            self._unsaved = False
        except OSError as error:
            self.counts["file_error"] += 1
            if not self._unsaved:
                self._unsaved = True
                _log.warning(
                    "%s: statements will not outlive a restart: %s", self._file, error.strerror or type(error).__name__
                )


PLUGIN = Manual


def _until(body: Body, now: int) -> int:
    """When the statement ends, ns; after `now`. Refusal: 400."""
    until, span = text(body, "until", MAX_NOTE), text(body, "for", MAX_NOTE)
    if (until is None) == (span is None):
        raise Refusal(400, 'until: give one of until ("2026-11-24T15:00:00Z") and for ("2h")')
    key, end = ("until", _moment(until)) if until is not None else ("for", now + _span(span or ""))
    if not now < end <= now + LONGEST:
        raise Refusal(400, f"{key}: expected an end from now on, at most 7 days ahead")
    return end


def _moment(written: str) -> int:
    try:
        moment = datetime.fromisoformat(written)
        end = round(moment.timestamp()) * SECOND
    except (ValueError, OverflowError):
        moment, end = None, 0
    if moment is None or moment.tzinfo is None:
        raise Refusal(400, 'until: expected a time like "2026-11-24T15:00:00Z" or "2026-11-24T16:00:00+01:00"')
    return end


def _span(written: str) -> int:
    try:
        return int(Duration(written))
    except ValueError:
        raise Refusal(400, 'for: expected a duration like "2h" or "90m"') from None
