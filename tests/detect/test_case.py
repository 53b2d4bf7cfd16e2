from sensor.detect.case import Case
from sensor.detect.groups import Movement
from sensor.model.activity import Contact
from sensor.model.destination import Place
from sensor.model.foreground import Foreground

HERE = Contact(1, "phone", b"", b"\x01\x02\x03\x04", Place())
THERE = Contact(2, "phone", b"", b"\x05\x06\x07\x08", Place())
KEY = ("watchlist", "china", "phone", "Xiaomi")


def test_it_adds_up_and_shows_where_it_was_last() -> None:
    case = Case(KEY, started_at=5, contact=HERE)
    case.add(Movement(THERE, 10, 1, 1, 5, 9), frames=100, dropped=0)
    case.add(Movement(HERE, 20, 2, 1, 6, 8), frames=100, dropped=3)
    known = Foreground("background", "push", observed_at=4)
    evidence = case.evidence(known)
    assert evidence.foreground is known
    assert (evidence.sent_bytes, evidence.received_bytes) == (30, 3)
    assert (evidence.first_seen, evidence.last_seen, evidence.frames, evidence.dropped_frames) == (5, 9, 100, 3)
    assert case.contact is THERE


def test_ids_depend_on_the_key_and_the_start_and_nothing_else() -> None:
    case, again, later = (Case(KEY, start, contact) for start, contact in [(5, HERE), (5, THERE), (6, HERE)])
    assert (case.id, case.fingerprint) == (again.id, again.fingerprint)
    assert case.fingerprint == later.fingerprint
    assert case.id != later.id
    assert len(case.id) == len(case.fingerprint) == 16


def test_parts_of_a_key_do_not_run_together() -> None:
    assert Case(("a", "bc"), 0, HERE).fingerprint != Case(("ab", "c"), 0, HERE).fingerprint
    assert Case(("\ud800",), 0, HERE).fingerprint
