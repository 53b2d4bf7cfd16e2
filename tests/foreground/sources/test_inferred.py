"""What traffic alone looks like, and how often the guess was right."""

import numpy as np

from sensor.base.settings import build
from sensor.foreground.base import SourceFacts
from sensor.foreground.sources.inferred import EVERY, MAX_CLIENTS, Inferred, Settings
from sensor.model.activity import Activity
from sensor.model.foreground import NOTHING_KNOWN, Foreground, Report

SECOND = 1_000_000_000
START = 1_790_000_000
PHONE, TABLET = "60:38:e0:c5:35:a0", "64:09:80:00:00:02"


class Lab:
    """The source, and second after second of traffic."""

    def __init__(self, known: Foreground = NOTHING_KNOWN, **settings: object) -> None:
        self.reports: list[Report] = []
        facts = SourceFacts(self.reports.append, lambda: 0, known=lambda _client, _now: known)
        self.source = Inferred(build(Settings, settings), facts)
        self.now = START

    def second(self, *clients: str, destinations: int = 1, received: int = 100) -> None:
        self.now += 1
        count = destinations * len(clients)
        rows = np.arange(count)
        numbers = np.repeat(np.arange(len(clients)), destinations)
        bytes_each = np.full(count, received // max(destinations, 1))
        ones, times = np.ones(count, np.int64), np.full(count, self.now * SECOND)
        unknown = np.zeros(count, np.int8)
        self.source.second(
            Activity(
                self.now * SECOND, rows, ones, bytes_each, ones, ones, times, times, ones, numbers, unknown
            ),
            dict(enumerate(clients)),
        )  # fmt: skip

    def events(self, client: str = PHONE) -> set[str]:
        return {report.event for report in self.reports if report.client == client}


def test_many_destinations_and_much_received_look_used() -> None:
    lab = Lab()
    for _ in range(60):
        lab.second(PHONE, destinations=12, received=20_000)
    assert lab.events() == {"screen_on"}
    assert {report.source for report in lab.reports} == {"inferred"}
    assert all(report.interval == 2 * EVERY for report in lab.reports)


def test_long_gaps_look_idle_after_five_minutes() -> None:
    lab = Lab()
    for _ in range(20):
        lab.second(PHONE)
        lab.now += 30
    assert lab.events() == {"screen_off"}
    assert lab.reports[0].received_at >= (START + 300) * SECOND


def test_what_is_in_between_says_nothing() -> None:
    lab = Lab()
    for _ in range(600):
        lab.second(PHONE, destinations=2, received=5_000)
    assert lab.events() == set()


def test_one_download_is_no_person() -> None:
    lab = Lab()
    for _ in range(120):
        lab.second(PHONE, destinations=1, received=1_000_000)
    assert lab.events() == set()


def test_clients_are_told_apart() -> None:
    lab = Lab()
    for at in range(700):
        lab.second(*([PHONE, TABLET] if at % 60 == 0 else [TABLET]), destinations=10, received=40_000)
    assert lab.events(PHONE) == {"screen_off"}
    assert lab.events(TABLET) == {"screen_on"}


def test_the_guess_is_compared_with_who_knows_better() -> None:
    lab = Lab(known=Foreground("background", "push"))
    for _ in range(60):
        lab.second(PHONE, destinations=12, received=20_000)
    assert lab.source.verdicts == {("foreground", "background"): len(lab.reports)}


def test_its_own_word_proves_nothing() -> None:
    lab = Lab(known=Foreground("foreground", "inferred"))
    for _ in range(60):
        lab.second(PHONE, destinations=12, received=20_000)
    assert not lab.source.verdicts


def test_a_flood_of_clients_is_bounded() -> None:
    lab = Lab()
    for at in range(MAX_CLIENTS // 50 + 5):
        lab.second(*(f"02:00:00:00:{at:02x}:{number:02x}" for number in range(50)))
    assert len(lab.source._clients) == MAX_CLIENTS
