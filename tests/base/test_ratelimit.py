from sensor.base.ratelimit import RateLimit

SECOND = 1_000_000_000


def test_so_many_at_once_then_one_per_interval() -> None:
    limit = RateLimit(10 * SECOND, burst=2)
    assert [limit.allow(0), limit.allow(0), limit.allow(0)] == [True, True, False]
    assert not limit.allow(9 * SECOND)
    assert limit.allow(10 * SECOND)
    assert not limit.allow(11 * SECOND)
    assert limit.refused == 3


def test_quiet_time_does_not_save_up_more_than_a_burst() -> None:
    limit = RateLimit(SECOND, burst=2)
    limit.allow(0)
    assert [limit.allow(1000 * SECOND) for _ in range(3)] == [True, True, False]


def test_a_clock_that_is_set_back_delays_nothing() -> None:
    limit = RateLimit(SECOND)
    assert limit.allow(1_000_000 * SECOND)
    assert not limit.allow(5 * SECOND)
    assert limit.allow(6 * SECOND)
