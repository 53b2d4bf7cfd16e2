from typing import Any

import pytest

from sensor.base.settings import build
from sensor.detect import followed
from sensor.detect.allowance import Allowance
from sensor.detect.followed import Followed, Share, not_excused
from sensor.detect.groups import Movement
from sensor.detect.owners import Label
from sensor.detect.window import Window
from sensor.model.activity import Contact
from sensor.model.destination import Place

HERE = Contact(0, "phone", b"", b"", Place())


def allowance(name: str, **table: Any) -> Allowance:
    return build(Allowance, {"name": name, "reason": "it is wanted", "asns": [1], **table})


def label(owner: str = "Xiaomi", *allowed: Allowance, client: str = "phone", watch: str | None = None) -> Label:
    return Label(client, owner, watch, allowed)


def told(share: Share, nbytes: int, at: int = 1) -> Share:
    share.last = at
    share.window.add(1, 1_000, Movement(HERE, nbytes, 0, 1, at, at, uploaded=nbytes))
    return share


def due(*shares: Share) -> list[Share]:
    return not_excused(shares, "idle_drip", lambda window: window.uploaded)


def test_the_same_client_owner_watch_and_allowances_are_one_share() -> None:
    kept, push = Followed(), allowance("push")
    first = kept.share(label())
    assert kept.share(label()) is first
    others = [kept.share(label(watch="china")), kept.share(label("Xiaomi", push))]
    assert kept.shares(("phone", "Xiaomi")) == [first, *others]
    assert kept.shares(("tablet", "Xiaomi")) == kept.shares(("phone", "Google")) == []
    kept.drop(("phone", "Xiaomi"))
    kept.drop(("phone", "Xiaomi"))
    assert kept.shares(("phone", "Xiaomi")) == []


def test_many_owners_of_one_client_push_out_none_of_another() -> None:
    kept = Followed(owners=4)
    healthy = kept.share(label(client="tablet"))
    for number in range(100):
        kept.share(label(f"Owner {number}"))
    assert kept.evicted == 96
    assert kept.shares(("tablet", "Xiaomi")) == [healthy]
    assert kept.shares(("phone", "Owner 0")) == []
    assert kept.shares(("phone", "Owner 99")) != []


def test_of_those_that_were_longest_unused_the_one_that_was_told_least_goes() -> None:
    kept = Followed(owners=20)
    told(kept.share(label()), 20_000)
    for number in range(1_000):
        told(kept.share(label(f"Decoy {number}")), 60)
    assert kept.shares(("phone", "Xiaomi")) != []


def test_what_had_to_go_counts_among_the_other_owners() -> None:
    kept, push = Followed(owners=2), allowance("push")
    told(kept.share(label("A")), 5, at=3)
    told(kept.share(label("A", push)), 7, at=4)
    kept.share(label("B"))
    told(kept.share(label("C")), 90)  # B goes, of which there is nothing to keep
    assert (kept.take_merged(), kept.shares(("phone", "other owners"))) == ([], [])
    told(kept.share(label("D")), 90)
    assert [share.window.sent for share in kept.take_merged()] == [5, 7]
    assert kept.take_merged() == []
    others = kept.shares(("phone", "other owners"))
    assert [(share.label.allowed, share.window.sent, share.last) for share in others] == [((), 5, 3), ((push,), 7, 4)]
    for number in range(50):
        told(kept.share(label(f"E{number}")), 1)
    assert sum(share.window.sent for share in kept.shares(("phone", "other owners"))) == 12 + 90 + 49
    assert kept.evicted == 52
    assert not kept.has_room(("phone", "another"))
    assert kept.has_room(("phone", "E49"))
    assert kept.has_room(("tablet", "another"))


def test_what_an_alert_tells_of_counts_only_there() -> None:
    kept = Followed(owners=1, counts=lambda key: key != ("phone", "A"))
    for owner in "ABC":
        told(kept.share(label(owner)), 5)
    assert [share.label.owner for share in kept.take_merged()] == ["B"]


def test_clients_have_a_cap_too() -> None:
    kept = Followed(clients=2)
    for client in ("a", "b", "c"):
        kept.share(label(client=client))
        kept.share(label("Google", client=client))
    assert kept.evicted == 2
    assert kept.shares(("a", "Xiaomi")) == []


def test_beyond_so_many_shares_nothing_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed, "MAX_SHARES", 2)
    kept = Followed()
    made = [kept.share(label("Xiaomi", allowance(name))) for name in "abcd"]
    assert [len(share.label.allowed) for share in made] == [1, 1, 0, 0]
    assert len(kept.shares(("phone", "Xiaomi"))) == 3
    assert kept.share(label("Xiaomi", allowance("e"), watch="china")).label == label(watch="china")


def test_what_was_quiet_for_long_is_let_go_of_whichever_way_time_goes() -> None:
    kept, push = Followed(), allowance("push")
    told(kept.share(label()), 1, at=100)
    stays = told(kept.share(label("Xiaomi", push)), 1, at=150)
    told(kept.share(label("Google")), 1, at=10)
    kept.expire(now=200, after=50)
    assert kept.shares(("phone", "Xiaomi")) == [stays]
    assert kept.shares(("phone", "Google")) == []
    kept.expire(now=0, after=50)
    assert kept.shares(("phone", "Xiaomi")) == []
    kept.share(label())
    kept.clear()
    assert kept.shares(("phone", "Xiaomi")) == []


def test_an_allowance_excuses_up_to_its_amount() -> None:
    free, capped = allowance("free"), allowance("capped", max_bytes=100)
    plain = Share(label())
    assert due(plain, told(Share(label("x", free)), 10**12), told(Share(label("x", capped)), 100)) == [plain]
    beyond = told(Share(label("x", capped)), 101)
    assert due(beyond) == [beyond]
    other = told(Share(label("x", allowance("upload", detectors=["background_upload"]))), 1)
    assert due(other) == [other]


def test_shares_of_one_allowance_use_up_one_amount() -> None:
    wide, narrow = allowance("wide", max_bytes=100), allowance("narrow", max_bytes=10)
    both, one = told(Share(label("x", wide, narrow)), 60), told(Share(label("x", wide)), 60)
    assert due(both, one) == [one]


def test_a_share_uses_the_allowance_that_leaves_most_room() -> None:
    services, updates = allowance("services", max_bytes=100), allowance("updates", max_bytes=500)
    assert due(told(Share(label("x", services, updates)), 90), told(Share(label("x", services)), 90)) == []


def test_a_window_that_is_empty_is_excused() -> None:
    assert due(Share(label("x", allowance("capped", max_bytes=0)))) == []
    assert not Window()


def test_shares_that_come_to_the_same_are_one() -> None:
    kept, push = Followed(), allowance("push")
    told(kept.share(label()), 10)
    told(kept.share(label("Xiaomi", push)), 20)
    kept.relabel(lambda each: each._replace(allowed=()))
    [share] = kept.shares(("phone", "Xiaomi"))
    assert share.window.uploaded == 30
    assert share.label == label()
