from dataclasses import replace
from typing import Any

import numpy as np

from sensor.base.addresses import parse_address
from sensor.base.settings import build
from sensor.detect.allowance import Allowance, Allowances
from sensor.detect.base import owner_of
from sensor.detect.owners import Owners, OwnerSecond
from sensor.detect.watch import Watch
from sensor.enrich.suffixes import PublicSuffixes
from sensor.model.activity import Activity, Contact
from sensor.model.destination import Name, Place
from sensor.model.foreground import BACKGROUND, FOREGROUND, UNKNOWN

CHINA, GOOGLE = Place("CN", 4808, "China Unicom Beijing"), Place("US", 15_169, "Google LLC")


def owners(watches: list[dict[str, Any]] | None = None, shipped: list[dict[str, Any]] | None = None) -> Owners:
    lists = Allowances([], [build(Allowance, {"reason": "fine", **table}) for table in shipped or []])
    watched = tuple(build(Watch, {"name": "china", **table}) for table in watches or [])
    suffixes = PublicSuffixes()
    return Owners(watched, lists, lambda contact: owner_of(contact, suffixes.registrable))


def contact(row: int, place: Place = CHINA, *names: str, client: str = "phone") -> Contact:
    address = parse_address(f"42.62.48.{row}")
    return Contact(row, client, b"", address, place, [Name(name, "tls") for name in names])


def second(kept: Owners, *moved: tuple[int, int], sent: int = 10) -> list[OwnerSecond]:
    """(row, state of its client), rows ascending."""
    rows, states = (np.array(column, np.int64) for column in zip(*moved, strict=True))
    ones = np.ones(len(rows), np.int64)
    activity = Activity(9, rows, ones * sent, ones, ones, ones, ones, ones, ones, ones * 0, states.astype(np.int8))
    return kept.second(activity)


def test_contacts_count_together_by_client_and_owner() -> None:
    kept = owners()
    for each in [contact(1), contact(2), contact(3, GOOGLE), contact(4, client="tablet")]:
        kept.learned(each)
    moved = second(kept, (1, BACKGROUND), (2, BACKGROUND), (3, BACKGROUND), (4, FOREGROUND))
    assert [(each.label.client, each.label.owner, each.state, each.movement.sent_bytes) for each in moved] == [
        ("phone", "China Unicom Beijing", BACKGROUND, 20),
        ("phone", "Google LLC", BACKGROUND, 10),
        ("tablet", "China Unicom Beijing", FOREGROUND, 10),
    ]


def test_clients_of_unknown_state_are_not_looked_at() -> None:
    kept = owners()
    kept.learned(contact(1))
    kept.learned(contact(2, client="tablet"))
    assert second(kept, (1, UNKNOWN), (2, UNKNOWN)) == []
    [moved] = second(kept, (1, UNKNOWN), (2, BACKGROUND))
    assert moved.label.client == "tablet"
    [moved] = second(kept, (1, BACKGROUND), (2, UNKNOWN))
    assert moved.label.client == "phone"


def test_nothing_is_known_of_a_contact_that_is_no_more() -> None:
    kept = owners()
    kept.learned(contact(1))
    kept.learned(contact(2))
    second(kept, (2, BACKGROUND))
    kept.forgotten(1)
    kept.forgotten(2)
    kept.forgotten(3)
    assert second(kept, (1, BACKGROUND), (2, BACKGROUND)) == []
    kept.learned(contact(2, GOOGLE))
    [moved] = second(kept, (1, BACKGROUND), (2, BACKGROUND))
    assert moved.label.owner == "Google LLC"


def test_what_is_watched_and_what_is_allowed_stands_on_the_label() -> None:
    kept = owners(
        [{"countries": ["CN"]}], [{"name": "google", "owners": ["Google"]}, {"name": "all", "countries": ["CN"]}]
    )
    kept.learned(contact(1))
    kept.learned(contact(2, GOOGLE))
    china, google = second(kept, (1, BACKGROUND), (2, BACKGROUND))
    assert (china.label.watch, china.label.allowed) == ("china", ())
    assert (google.label.watch, [each.name for each in google.label.allowed]) == (None, ["google"])


def test_a_watch_that_is_off_or_for_another_client_watches_nothing() -> None:
    kept = owners([{"countries": ["CN"], "enabled": False}, {"countries": ["CN"], "clients": ["tablet"]}])
    kept.learned(contact(1))
    [moved] = second(kept, (1, BACKGROUND))
    assert moved.label.watch is None


def test_names_that_come_later_cannot_talk_a_contact_out_of_a_watch() -> None:
    kept = owners(
        [{"domains": ["xiaomi.com"], "except_domains": ["update.xiaomi.com"]}],
        [{"name": "fine", "domains": ["fine.example"]}],
    )
    phone = contact(1, CHINA, "api.xiaomi.com")
    kept.learned(phone)
    assert second(kept, (1, BACKGROUND))[0].label.watch == "china"
    phone.names[:] = [Name("update.xiaomi.com", "tls"), Name("fine.example", "tls")]
    kept.learned(phone)
    [moved] = second(kept, (1, BACKGROUND))
    assert (moved.label.watch, moved.label.allowed) == ("china", ())


def test_a_name_that_comes_later_can_put_a_contact_on_watch() -> None:
    kept = owners([{"domains": ["xiaomi.com"]}])
    phone = contact(1)
    kept.learned(phone)
    assert second(kept, (1, BACKGROUND))[0].label.watch is None
    phone.names.append(Name("api.xiaomi.com", "tls"))
    kept.learned(phone)
    assert second(kept, (1, BACKGROUND))[0].label.watch == "china"


def test_an_owner_that_is_only_known_by_name_is_the_first_that_it_was_counted_for() -> None:
    kept = owners()
    phone = contact(1, Place("CN"))
    kept.learned(phone)
    phone.names.append(Name("api.xiaomi.com", "tls"))
    kept.learned(phone)  # before anything counted
    assert second(kept, (1, BACKGROUND))[0].label.owner == "xiaomi.com"
    phone.names.insert(0, Name("a.other.example", "tls"))
    kept.learned(phone)
    assert second(kept, (1, BACKGROUND))[0].label.owner == "xiaomi.com"


def test_what_only_received_is_noise() -> None:
    kept = owners()
    kept.learned(contact(1))
    rows = np.array([1])
    none, one = np.zeros(1, np.int64), np.ones(1, np.int64)
    states = np.array([BACKGROUND], np.int8)
    assert kept.second(Activity(9, rows, none, one, none, one, one, one, none, none, states)) == []


def test_other_watches_and_allowances() -> None:
    mine = {"name": "mine", "reason": "wanted", "asns": [4808]}
    kept = owners([{"countries": ["CN"]}])
    kept.retune((build(Watch, {"name": "china", "countries": ["CN"]}),), Allowances([build(Allowance, mine)]))
    phone = contact(1)
    kept.learned(phone)
    [before] = second(kept, (1, BACKGROUND))
    assert (before.label.watch, len(before.label.allowed)) == ("china", 1)
    again = build(Allowance, mine)
    translate = kept.retune((), Allowances([again]))
    assert translate(before.label).watch is None
    assert translate(before.label).allowed[0] is again, "the amount that it allows is kept by the object"
    [after] = second(kept, (1, BACKGROUND))
    assert after.label == translate(before.label)
    kept.retune((build(Watch, {"name": "new", "asns": [4808]}),), Allowances())
    kept.learned(phone)
    [after] = second(kept, (1, BACKGROUND))
    assert (after.label.watch, after.label.allowed) == ("new", ())


def test_a_watch_that_names_other_places_now_lets_go_of_what_it_matched() -> None:
    kept, phone = owners(), contact(1)
    china = build(Watch, {"name": "a", "countries": ["CN"]})
    kept.retune((china,), Allowances())
    kept.learned(phone)
    assert second(kept, (1, BACKGROUND))[0].label.watch == "a"
    kept.retune((replace(china, severity="critical"),), Allowances())
    phone.place = Place("DE")  # what matched once stays, where the watch is the same
    kept.relearned(phone)
    assert second(kept, (1, BACKGROUND))[0].label.watch == "a"
    kept.retune((build(Watch, {"name": "a", "countries": ["RU"]}),), Allowances())
    kept.relearned(phone)
    assert second(kept, (1, BACKGROUND))[0].label.watch is None
