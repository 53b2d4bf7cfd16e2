import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.base.units import Count, Duration, Size, size_text, span

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("90s", 90 * SECOND),
        ("12h", 43_200 * SECOND),
        ("50ms", 50_000_000),
        ("1d", 86_400 * SECOND),
        ("2w", 14 * 86_400 * SECOND),
        ("1h30m", 5_400 * SECOND),
        ("1.5s", 1_500_000_000),
        (" 10 M ", 600 * SECOND),
        ("0s", 0),
    ],
)
def test_durations_are_nanoseconds(text: str, nanoseconds: int) -> None:
    assert Duration(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "90", "s", "-1s", "1 fortnight", "1s!", "1e3s", "٣s", "1.s", "h1"])
def test_what_is_no_duration_says_what_one_looks_like(text: str) -> None:
    with pytest.raises(ValueError, match='like "90s", "12h" or "1h30m"'):
        Duration(text)


def test_a_duration_fits_into_64_bits() -> None:
    with pytest.raises(ValueError, match="longer than 100 years"):
        Duration("999999999999999w")


def test_durations_can_be_copied_and_read_in_seconds() -> None:
    assert copy.deepcopy(Duration("90s")) == Duration("90s")
    assert Duration("50ms").seconds == 0.05


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("20KB", 20_000),
        ("200kb", 200_000),
        ("8MiB", 8 * 1024 * 1024),
        ("1.5 GB", 1_500_000_000),
        ("512B", 512),
        ("1TiB", 1 << 40),
        (4096, 4096),
        ("4096", 4096),
        (0, 0),
    ],
)
def test_sizes_are_bytes(value: str | int, size: int) -> None:
    assert Size(value) == size


@pytest.mark.parametrize("value", ["", "KB", "20 KBit", "20K", "-1KB", -1, "1iB", "0x10"])
def test_what_is_no_size_says_what_one_looks_like(value: str | int) -> None:
    with pytest.raises(ValueError, match='like "20KB" or "8MiB"'):
        Size(value)


def test_a_size_fits_into_64_bits() -> None:
    with pytest.raises(ValueError, match="too large"):
        Size("999999999999TiB")


@given(st.text(max_size=30))
def test_any_text_is_a_value_or_a_value_error(text: str) -> None:
    for kind in (Duration, Size):
        try:
            assert kind(text) >= 0
        except ValueError as error:
            assert str(error).isprintable()  # noqa: PT017  # both ends are fine


def test_counts_are_positive_and_no_more_than_memory_holds() -> None:
    assert Count(40_000) == 40_000
    for wrong in (0, -1, 10_000_001):
        with pytest.raises(ValueError, match="from 1 to 10000000"):
            Count(wrong)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (4_096, "4.1 KB"), (999_960, "1.0 MB"), (3 * 10**15, "3000.0 TB")],
)
def test_sizes_in_sentences(count: int, text: str) -> None:
    assert size_text(count) == text


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (660, "11 min"),
        (3_600, "1 h"),
        (12_000, "3 h 20 min"),
        (172_800, "2 days"),
    ],
)
def test_spans_as_people_say_them(seconds: int, said: str) -> None:
    assert span(seconds * 1_000_000_000) == said
