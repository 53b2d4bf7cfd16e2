"""Times as text."""

from sensor.base.times import SECOND, rfc3339


def test_microseconds_in_utc() -> None:
    assert rfc3339(1_790_000_000 * SECOND + 123_456_789) == "2026-09-21T14:13:20.123456Z"


def test_absurd_times_are_clamped_not_refused() -> None:
    assert rfc3339(-5) == "1970-01-01T00:00:00.000000Z"
    assert rfc3339(2**80).startswith("9999-12-31T23:59:59")
