"""Each hostile case through the whole house, beside a healthy client of whom nothing else is said because of it."""

from collections.abc import Callable, Iterable

import pytest

from sensor.decode.streams import MAX_HELD, STREAM_IDLE
from tests.decode.reference import decode as decoded_one_by_one
from tests.hostile import cases
from tests.hostile.cases import ATTACKER_ID, CASES
from tests.hostile.craft import ROUTER, SECOND, START, Traffic, some, spread, together
from tests.hostile.healthy import PHONE_ID, phone
from tests.hostile.oracle import Outcome, examine, healthy, new_house

SECONDS = 12
CALM = phone(SECONDS)

Case = Callable[[], Iterable[bytes]]


@pytest.fixture(scope="module")
def alone() -> Outcome:
    return examine(CALM.batches())


def attack(frames: Iterable[bytes]) -> Traffic:
    """Over nearly all of the time that the healthy client is there."""
    frames = list(frames)
    return some(frames, spread(len(frames), SECONDS - 1))


def beside(frames: Iterable[bytes]) -> Outcome:
    """The attack and the healthy client."""
    return examine(together(attack(frames), CALM).batches())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_hostile_case_beside_a_healthy_client(case: Case, alone: Outcome) -> None:
    frames = list(case())
    outcome = beside(frames)
    rows = [decoded_one_by_one(frame, len(frame)) for frame in frames]
    packets = [row for row in rows if not isinstance(row, str)]
    assert outcome.ip_bytes == alone.ip_bytes + sum(row.length for row in packets)
    assert outcome.house.pipeline.headers.stats.undecodable == rows.count("undecodable")
    assert healthy(outcome, PHONE_ID) == healthy(alone, PHONE_ID)
    assert outcome.result["alerts"] == alone.result["alerts"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_same_frames_between_other_ends_and_as_the_first_of_all(case: Case) -> None:
    """The attacker as router, and to a group address: other roles, the same oracle."""
    for mac in (ROUTER, b"\xff" * 6, b"\x01\x00\x5e\x00\x00\xfb"):
        frames = [mac + frame[6:] for frame in case()]
        examine(attack(frames).batches(64))


def test_messages_of_next_to_nothing_say_nothing() -> None:
    outcome = examine(attack(cases.d8_next_to_nothing()).batches())
    assert sum(outcome.house.pipeline.counts.messages.values()) == 0
    assert outcome.house.pipeline.headers.stats.undecodable == 0


def test_hellos_in_pieces_are_named_by_their_first_bytes_and_nothing_is_kept() -> None:
    outcome = examine(attack(cases.d9_hellos_in_pieces()).batches())
    assert set(outcome.result["names_seen"]) == {"pieces.example"}
    streams = outcome.house.pipeline.messages.streams
    assert len(streams) == streams.held == 0, "the end of the capture gives them all up"


def test_unfinished_hellos_are_given_up_when_they_are_idle() -> None:
    house, _ = new_house()
    for batch in attack(cases.d9_hellos_in_pieces()).batches():
        house.pipeline.feed(batch)
        assert house.pipeline.messages.streams.held <= MAX_HELD
    assert len(house.pipeline.messages.streams) > 100
    house.pipeline.advance(START + SECONDS * SECOND + STREAM_IDLE + SECOND)
    assert len(house.pipeline.messages.streams) == house.pipeline.messages.streams.held == 0


def test_names_that_bite_come_out_as_plain_text() -> None:
    outcome = examine(attack(cases.d10_names_that_bite()).batches())
    text = outcome.text()
    assert text.isascii()
    assert b"\\u202e" not in text
    assert b"\\u001b" not in text
    assert b"fine.example" in text


def test_quic_that_is_none_and_leases_only_count_as_bytes() -> None:
    for case in (cases.d11_quic_that_is_none, cases.d19_leases_with_teeth):
        outcome = examine(attack(case()).batches())
        assert sum(outcome.house.pipeline.counts.messages.values()) == 0
        assert outcome.client(ATTACKER_ID)["name"] is None
        assert b"evil" not in outcome.text()


def test_only_first_fragments_have_ports_and_nothing_is_put_together() -> None:
    outcome = examine(attack(cases.d12_fragments_and_chains()).batches())
    house = outcome.house
    assert house.pipeline.headers.stats.fragments > 10
    assert house.pipeline.headers.stats.long_chains >= 2
    assert house.pipeline.messages.streams.held == 0


def test_what_is_wrapped_too_deep_is_counted() -> None:
    outcome = examine(attack(cases.d13_wrapped_again_and_again()).batches())
    stats = outcome.house.pipeline.headers.stats
    assert stats.too_deep > 0
    assert stats.tunnels == 8
    assert outcome.house.pipeline.messages.stats.deep_tunnels > 0


def test_bytes_do_not_depend_on_what_tcp_says() -> None:
    frames = cases.d17_tcp_out_of_order()
    outcome = examine(attack(frames).batches())
    row = outcome.client(ATTACKER_ID)
    assert row["sent_bytes"] + row["received_bytes"] == sum(len(frame) - 14 for frame in frames)
