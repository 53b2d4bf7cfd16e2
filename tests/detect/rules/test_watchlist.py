import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from sensor.base.addresses import parse_address
from sensor.base.settings import build
from sensor.detect.base import MAX_ACTIVE, Facts
from sensor.detect.engine import Engine
from sensor.detect.rules.watchlist import MAX_OWNERS, Settings, Watchlist
from sensor.detect.watch import Watch
from sensor.model.activity import Activity, Contact
from sensor.model.alert import Alert, AlertClient
from sensor.model.destination import Name, Place

SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND
PHONE, LAPTOP = "60:38:e0:c5:35:a0", "02:00:00:00:00:01"
CHINA = Place("CN", 4808, "China Unicom Beijing")
V4, V6 = "42.62.48.10", "2400:3200::1"


@dataclass
class Lab:
    """A detector, with contacts that move bytes second by second."""

    watches: list[dict[str, Any]]
    resolve_after: str = "10m"
    clients: dict[str, AlertClient] = field(default_factory=dict)
    now: int = START

    def __post_init__(self) -> None:
        watches = tuple(build(Watch, {"name": "china", **watch}) for watch in self.watches)
        self.detector = Watchlist(build(Settings, {"resolve_after": self.resolve_after}), Facts(self.who, watches))
        self.engine = Engine([self.detector])

    def who(self, client: str) -> AlertClient:
        return self.clients.get(client, AlertClient(client, client, None, None, ()))

    def meets(self, address: str = V4, place: Place = CHINA, *names: str, client: str = PHONE, row: int = 0) -> Contact:
        contact = Contact(row, client, b"\xc0\xa8\x02\x64", parse_address(address), place, [])
        contact.names.extend(Name(name, "tls") for name in names)
        self.engine.learned(contact, self.now)
        return contact

    def second(self, *moved: tuple[int, int, int]) -> list[Alert]:
        """One second in which each (row, sent bytes, received bytes) moves half way through."""
        rows, sent, received = (np.array(column, np.int64) for column in zip(*sorted(moved), strict=True))
        middle = np.full(len(rows), self.now + SECOND // 2)
        self.now += SECOND
        activity = Activity(
            self.now,
            rows,
            sent,
            received,
            (sent > 0) * 1,
            (received > 0) * 1,
            middle,
            middle + len(rows),
            sent,
            rows,
            rows,
        )
        return self.engine.second(activity, frames=1000, dropped=2) + self.engine.tick(self.now)

    def waits(self, seconds: int) -> list[Alert]:
        self.now += seconds * SECOND
        return self.engine.tick(self.now)


@pytest.fixture
def lab() -> Lab:
    return Lab([{"countries": ["CN"]}])


@pytest.mark.parametrize("address", [V4, V6])
def test_a_client_that_sends_to_a_watched_place(lab: Lab, address: str) -> None:
    lab.clients[PHONE] = AlertClient(PHONE, PHONE, "Redmi Note", "Xiaomi", ("192.168.2.100",))
    lab.meets(address, CHINA, "api.account.xiaomi.com")
    [alert] = lab.second((0, 4_096, 512))
    assert alert.summary == (
        "Redmi Note (Xiaomi) contacted China Unicom Beijing in China "
        f'(api.account.xiaomi.com, {address}), on watch "china"; 4.1 KB sent so far.'
    )
    assert (alert.detector, alert.state, alert.severity, alert.rule) == ("watchlist", "firing", "warning", "china")
    assert (alert.started_at, alert.updated_at, alert.resolved_at) == (
        START + SECOND // 2,
        START + SECOND // 2 + 1,
        None,
    )
    assert alert.client.name == "Redmi Note"
    assert alert.destination is not None
    assert (alert.destination.address, alert.destination.name, alert.destination.name_source) == (
        address,
        "api.account.xiaomi.com",
        "tls",
    )
    assert alert.thresholds == {"country": "CN"}
    assert alert.measured == {
        "matched_by": "country",
        "country": "CN",
        "asn": 4808,
        "owner": "China Unicom Beijing",
        "domain": "api.account.xiaomi.com",
        "address": address,
        "ports": [],
    }
    evidence = alert.evidence
    assert (evidence.sent_bytes, evidence.received_bytes, evidence.frames, evidence.dropped_frames) == (
        4096,
        512,
        1000,
        2,
    )


@pytest.mark.parametrize(
    ("watch", "place", "names"),
    [
        ({"countries": ["CN"]}, Place("DE", 3320, "Telekom"), ()),
        ({"countries": ["CN"]}, Place(), ()),
        ({"asns": [4837]}, Place("CN"), ()),
        ({"domains": ["xiaomi.com"]}, CHINA, ("notxiaomi.com",)),
        ({"countries": ["CN"], "except_domains": ["xiaomi.com"]}, CHINA, ("api.xiaomi.com",)),
        ({"countries": ["CN"], "clients": [LAPTOP]}, CHINA, ()),
        ({"countries": ["CN"], "enabled": False}, CHINA, ()),
    ],
)
@pytest.mark.parametrize("address", [V4, V6])
def test_silent_elsewhere(watch: dict[str, Any], place: Place, names: tuple[str, ...], address: str) -> None:
    lab = Lab([watch])
    lab.meets(address, place, *names)
    assert lab.second((0, 4_096, 512)) == []


def test_silent_where_the_client_only_received(lab: Lab) -> None:
    lab.meets()
    assert lab.second((0, 0, 60)) == []
    assert lab.second((0, 60, 0)) != []


def test_it_fires_once_and_updates(lab: Lab) -> None:
    lab.meets()
    [fired] = lab.second((0, 100, 10))
    assert lab.second((0, 200, 20)) == lab.second((0, 0, 30)) == []
    [now] = lab.engine.alerts()
    assert (now.id, now.state, now.started_at) == (fired.id, "firing", fired.started_at)
    assert now.updated_at == fired.updated_at + 2 * SECOND
    assert (now.evidence.sent_bytes, now.evidence.received_bytes) == (300, 60)
    assert "300 B sent so far" in now.summary


def test_it_resolves_after_a_quiet_time(lab: Lab) -> None:
    lab.meets()
    [fired] = lab.second((0, 100, 10))
    assert lab.waits(598) == []
    [over] = lab.waits(60)
    assert (over.id, over.state) == (fired.id, "resolved")
    assert over.resolved_at == over.updated_at == fired.updated_at + 600 * SECOND  # whenever the tick came
    assert over.evidence.last_seen == fired.evidence.last_seen
    assert "100 B sent in all" in over.summary
    assert lab.engine.alerts() == [over]


def test_it_fires_again_after_that_with_another_id(lab: Lab) -> None:
    lab.meets()
    [first] = lab.second((0, 100, 10))
    lab.waits(700)
    [second] = lab.second((0, 100, 10))
    assert second.fingerprint == first.fingerprint
    assert second.id != first.id
    assert second.evidence.sent_bytes == 100


def test_a_gap_without_a_tick_makes_two_alerts_too(lab: Lab) -> None:
    lab.meets()
    lab.second((0, 100, 10))
    lab.now += 700 * SECOND
    assert [alert.state for alert in lab.second((0, 100, 10))] == ["resolved", "firing"]


def test_what_comes_in_after_it_was_over_does_not_open_it_again(lab: Lab) -> None:
    lab.meets()
    lab.second((0, 100, 10))
    lab.waits(700)
    assert lab.second((0, 0, 60)) == []


def test_several_addresses_of_one_owner_are_one_alert(lab: Lab) -> None:
    lab.meets("42.62.48.10", row=0)
    lab.meets("42.62.48.11", CHINA, "b.example", row=1)
    lab.meets(V6, row=7)
    [_] = lab.second((0, 100, 0))
    assert lab.second((1, 100, 0), (7, 100, 50)) == []
    [alert] = lab.engine.alerts()
    assert (alert.evidence.sent_bytes, alert.evidence.received_bytes) == (300, 50)


def test_the_address_that_was_seen_last_is_shown(lab: Lab) -> None:
    lab.meets("42.62.48.10", row=0)
    lab.meets("42.62.48.11", CHINA, "b.example", row=1)
    lab.second((0, 100, 0))
    lab.second((1, 100, 0))
    [alert] = lab.engine.alerts()
    assert alert.destination is not None
    assert (alert.destination.address, alert.destination.name) == ("42.62.48.11", "b.example")


def test_other_owners_and_other_clients_are_other_alerts(lab: Lab) -> None:
    lab.meets(row=0)
    lab.meets("47.0.0.1", Place("CN", 37963, "Alibaba"), row=1)
    lab.meets(row=2, client=LAPTOP)
    alerts = lab.second((0, 1, 0), (1, 1, 0), (2, 1, 0))
    assert len({alert.fingerprint for alert in alerts}) == 3
    assert {alert.client.id for alert in alerts} == {PHONE, LAPTOP}


def test_two_watches_are_two_alerts() -> None:
    lab = Lab([{"countries": ["CN"]}, {"name": "xiaomi", "domains": ["xiaomi.com"], "severity": "critical"}])
    lab.meets(V4, CHINA, "api.xiaomi.com")
    assert [(alert.rule, alert.severity, alert.thresholds) for alert in lab.second((0, 1, 0))] == [
        ("china", "warning", {"country": "CN"}),
        ("xiaomi", "critical", {"domain": "xiaomi.com"}),
    ]


@pytest.mark.parametrize("address", [V4, V6])
def test_a_name_that_is_learned_later_counts_from_then_on(address: str) -> None:
    lab = Lab([{"domains": ["xiaomi.com"]}])
    contact = lab.meets(address, Place("SG"))
    assert lab.second((0, 500, 0)) == []
    contact.names.append(Name("api.xiaomi.com", "tls"))
    lab.engine.learned(contact, lab.now)
    [alert] = lab.second((0, 300, 0))
    assert alert.evidence.sent_bytes == 300
    assert alert.measured["matched_by"] == "domain"


def test_a_name_behind_the_one_asked_for_counts_too() -> None:
    lab = Lab([{"domains": ["xiaomi.com"]}])
    contact = lab.meets(V4, Place("SG"))
    contact.names += [Name("cdn.example", "dns"), Name("edge.xiaomi.com", "cname")]
    lab.engine.learned(contact, lab.now)
    [alert] = lab.second((0, 300, 0))
    assert "(cdn.example, 42.62.48.10)" in alert.summary


def test_an_exception_that_is_learned_later_ends_the_counting() -> None:
    lab = Lab([{"countries": ["CN"], "except_domains": ["update.xiaomi.com"]}])
    contact = lab.meets()
    [fired] = lab.second((0, 500, 0))
    contact.names.append(Name("update.xiaomi.com", "tls"))
    lab.engine.learned(contact, lab.now)
    lab.second((0, 300, 0))
    [alert] = lab.engine.alerts()
    assert (alert.id, alert.evidence.sent_bytes) == (fired.id, 500)
    assert alert.thresholds == {"country": "CN"}


def test_a_row_that_is_used_again_is_another_contact(lab: Lab) -> None:
    lab.meets(row=3)
    lab.engine.forgotten(3)
    lab.meets("8.8.8.8", Place("US", 15169, "Google"), row=3)
    assert lab.second((3, 500, 0)) == []


def test_the_sentence_names_what_is_known() -> None:
    lab = Lab([{"cidrs": ["42.0.0.0/8", "2400::/16"]}])
    lab.clients[LAPTOP] = AlertClient(LAPTOP, LAPTOP, None, "Lenovo", ())
    lab.clients["10.0.0.9"] = AlertClient("10.0.0.9", None, None, None, ("10.0.0.9",))
    lab.meets(V4, Place(), row=0)
    lab.meets(V6, Place("XK", 4808), row=1, client=LAPTOP)
    lab.meets(V4, Place("CN"), row=2, client="10.0.0.9")
    assert {alert.summary for alert in lab.second((0, 60, 0), (1, 60, 0), (2, 60, 0))} == {
        f'{PHONE} contacted an unknown owner (42.62.48.10), on watch "china"; 60 B sent so far.',
        f'Lenovo {LAPTOP} contacted AS4808 in XK (2400:3200::1), on watch "china"; 60 B sent so far.',
        '10.0.0.9 contacted an unknown owner in China (42.62.48.10), on watch "china"; 60 B sent so far.',
    }


def test_the_sentence_shows_nothing_invisible(lab: Lab) -> None:
    lab.clients[PHONE] = AlertClient(PHONE, PHONE, "\x1b[31mred\u202e", None, ())
    lab.meets()
    [alert] = lab.second((0, 60, 0))
    assert alert.summary.isprintable()


def test_ids_are_the_same_in_every_run(lab: Lab) -> None:
    other = Lab([{"countries": ["CN"]}])
    for one in (lab, other):
        one.meets()
    [first], [second] = lab.second((0, 60, 0)), other.second((0, 60, 0))
    assert first == second


def test_a_flood_of_unknown_addresses_is_one_alert() -> None:
    lab = Lab([{"cidrs": ["42.0.0.0/8"]}])
    alerts = []
    for burst in range(5):
        for row in range(2_000):
            lab.meets(f"42.{burst}.{row >> 8}.{row & 255}", Place(), row=row)
        alerts += lab.second(*((row, 40, 0) for row in range(2_000)))
        for row in range(2_000):
            lab.engine.forgotten(row)
    assert len(alerts) == 1
    [alert] = lab.engine.alerts()
    assert alert.evidence.sent_bytes == 5 * 2_000 * 40


def test_a_client_that_goes_through_many_owners_has_the_rest_in_one_alert(lab: Lab) -> None:
    for row in range(500):
        lab.meets(f"42.0.{row >> 8}.{row & 255}", Place("CN", row + 1, f"Owner {row}"), row=row)
    lab.meets(row=500, client=LAPTOP)
    alerts = lab.second(*((row, 10, 0) for row in range(501)))
    assert len([alert for alert in alerts if alert.client.id == PHONE]) == MAX_OWNERS + 1
    [healthy] = [alert for alert in alerts if alert.client.id == LAPTOP]
    assert healthy.evidence.sent_bytes == 10
    [rest] = [alert for alert in lab.engine.alerts() if "and others, beyond 32 owners" in alert.summary]
    assert rest.evidence.sent_bytes == 10 * (500 - MAX_OWNERS)
    assert len(lab.waits(700)) == MAX_OWNERS + 2
    assert len(lab.second((499, 10, 0))) == 1


def test_no_more_alerts_than_the_cap_are_open_and_the_rest_is_counted(lab: Lab) -> None:
    for row in range(MAX_ACTIVE + 50):
        lab.meets(row=row, client=f"client {row}")
    everyone = [(row, 10, 0) for row in range(MAX_ACTIVE + 50)]
    assert len(lab.second(*everyone)) == MAX_ACTIVE
    assert lab.engine.suppressed == {"watchlist": 50}
    assert len(lab.waits(700)) == MAX_ACTIVE


def test_twenty_thousand_watched_contacts_cost_little_per_second() -> None:
    lab = Lab([{"countries": ["CN"]}])
    for row in range(20_000):
        owner = f"Owner {row % 20}"
        lab.meets(f"42.{row >> 16}.{row >> 8 & 255}.{row & 255}", Place("CN", 1, owner), row=row, client=f"c{row % 25}")
    everyone = [(row, 10, 10) for row in range(20_000)]
    lab.second(*everyone)
    rows = np.arange(20_000)
    ones = np.ones(20_000, np.int64)
    times = np.full(20_000, lab.now)
    activity = Activity(lab.now + SECOND, rows, ones, ones, ones, ones, times, times, ones, ones, ones)
    begun = time.process_time()
    assert lab.engine.second(activity, 0, 0) == []
    assert time.process_time() - begun < 0.1
