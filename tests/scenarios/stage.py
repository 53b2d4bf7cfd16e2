"""Runs a scenario: its frames and reports through the whole house, as `replay` does it."""

import time
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from sensor.base.addresses import mac_text
from sensor.config import Config, parse
from sensor.deliver.shapes import Json, alert_object, json_bytes
from sensor.foreground.history import parse_report
from sensor.house import House
from sensor.model.alert import Alert
from sensor.model.foreground import Report
from sensor.model.frames import FrameBatch
from tests.decode.batches import batch_of
from tests.enrich.mmdb import database
from tests.scenarios.form import Family, Scenario, networks
from tests.scenarios.play import Play

BATCH = 4_096


@dataclass(slots=True)
class Outcome:
    """What came of one run."""

    said: list[tuple[int, Json]] = field(default_factory=list)
    """(packet time, ALERT) each time that the house said something of one."""
    last: list[Json] = field(default_factory=list)
    """All alerts as they stand at the end."""
    frames: int = 0
    seconds: float = 0.0

    def text(self, without: frozenset[str] = frozenset()) -> bytes:
        """All of it; `without` the alerts on these MACs."""
        kept = [
            each for each in (*(alert for _, alert in self.said), *self.last) if each["client"]["mac"] not in without
        ]
        return b"\n".join(map(json_bytes, kept))


def run(
    scenario: Scenario, family: Family, seed: str, folder: Path, *, batch: int = BATCH, attacks: bool = True
) -> Outcome:
    """`seed`: the scenario's name. `folder`: for files that it needs. ConfigError."""
    play, outcome = Play(scenario, family, seed, attacks=attacks), Outcome()
    config = configuration(play, folder)

    def say(alert: Alert) -> None:
        outcome.said.append((deliver.now, alert_object(alert, house.sensor())))

    house = House(config, say)
    deliver = _Deliveries(play, house)
    house.pipeline.before_second = deliver.until
    begun = time.process_time()
    house.open()
    try:
        for each in batches(play, batch):
            house.pipeline.feed(each)
        house.pipeline.finish()
        outcome.last = [alert_object(alert, house.sensor()) for alert in house.alerts()]
        outcome.frames = house.pipeline.counts.frames
    finally:
        house.close()
    outcome.seconds = time.process_time() - begun
    return outcome


def batches(play: Play, size: int) -> Iterator[FrameBatch]:
    """The frames, `size` at a time."""
    frames = play.frames()
    while part := list(islice(frames, size)):
        made = batch_of([frame for _, frame in part])
        made.time = np.array([at for at, _ in part], np.int64)
        yield made


def configuration(play: Play, folder: Path) -> Config:
    """The scenario's own, with its clients by name and its places as the only geography."""
    return parse(settings(play, folder))


def settings(play: Play, folder: Path) -> dict[str, Any]:
    """The same as TOML tables."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "places.mmdb"
    path.write_bytes(database(geography(play.scenario), "Scenario", 1_770_000_000))
    named = [{"mac": mac_text(who.mac), "name": who.name} for who in play.clients.values()]
    basis = {"name": "scenario", "state_dir": str(folder), "geo": {"databases": [str(path)]}, "client": named}
    return {**basis, **play.scenario.config}


def geography(scenario: Scenario) -> dict[str, dict[str, object]]:
    """Network -> record of its place, in the fields of IPinfo Lite."""
    found: dict[str, dict[str, object]] = {}
    for at, place in enumerate(scenario.place):
        facts = {"country_code": place.country, "asn": f"AS{place.asn}" if place.asn else "", "as_name": place.owner}
        record = {key: value for key, value in facts.items() if value}
        if record:
            found |= dict.fromkeys(networks(place, at), record)
    return found


class _Deliveries:
    """Hands reports on before the second in which they came is judged.

    By the sensor's clock, as `foreground.history.Reporter`; but what is heard after a step of the clock waits for it.
    """

    def __init__(self, play: Play, house: House) -> None:
        self._reports: list[tuple[int, Report]] = [(step, parse_report(line, {})) for step, line in play.reports()]
        self._borders = play.borders
        self._house = house
        self._next = 0
        self.now = 0
        """The end of the second that is judged, ns."""

    def until(self, end: int) -> None:
        """`end`: of the second, ns."""
        self.now = end
        # The first frame behind a step is not believed until the next one agrees with it.
        steps = bisect_left(self._borders, self._house.pipeline.counts.frames - 1)
        while self._next < len(self._reports):
            step, report = self._reports[self._next]
            if step > steps or (step == steps and report.received_at >= end):
                return
            self._house.report(report)
            self._next += 1
