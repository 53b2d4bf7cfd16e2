"""Totals and rates as columns."""

import numpy as np

from sensor.account.columns import Meter, Moved, Tally
from sensor.base.times import SECOND
from sensor.model.client import Rates, Totals


def one(value: int) -> np.ndarray:
    return np.array([value], np.int64)


def test_totals_add_up_and_keep_first_and_last() -> None:
    tally = Tally()
    rows = np.array([3, 3])
    sent = Moved(np.array([10, 20]), np.array([1, 2]))
    received = Moved(np.array([5, 0]), np.array([1, 0]))
    tally.add(rows, sent, received, np.array([100, 90]), np.array([110, 95]))
    assert tally.totals(3) == Totals(30, 5, 3, 1, 90, 110)
    assert tally.totals(4) == Totals()


def test_merging_moves_everything() -> None:
    tally = Tally()
    for row in (1, 2):
        tally.add(one(row), Moved(one(10), one(1)), Moved(one(0), one(0)), one(100 - row), one(100 + row))
    tally.merge(np.array([1]), 2)
    assert tally.totals(1) == Totals()
    assert tally.totals(2) == Totals(20, 0, 2, 0, 98, 102)


def test_tables_grow_when_asked() -> None:
    tally, meter = Tally(), Meter()
    tally.reserve(5000)
    meter.reserve(5000)
    tally.add(one(5000), Moved(one(1), one(1)), Moved(one(0), one(0)), one(1), one(1))
    meter.add(one(5000), one(60), one(0), SECOND)
    assert tally.moved(5000)
    assert meter.rates(5000, SECOND).sent_1s == 60


def test_rates_over_a_second_and_a_minute() -> None:
    meter = Meter()
    start = 1000 * SECOND
    for second in range(60):
        meter.add(one(0), one(600), one(60), start + second * SECOND)
    assert meter.rates(0, start + 59 * SECOND) == Rates(600.0, 60.0, 600.0, 60.0)


def test_rates_fall_to_zero_in_silence() -> None:
    meter = Meter()
    meter.add(one(0), one(6000), one(0), 1000 * SECOND)
    assert meter.rates(0, 1001 * SECOND).sent_1s == 6000
    assert meter.rates(0, 1030 * SECOND) == Rates(0.0, 0.0, 100.0, 0.0)
    assert meter.rates(0, 1100 * SECOND) == Rates()
    meter.add(one(0), one(60), one(0), 2000 * SECOND)
    assert meter.rates(0, 2000 * SECOND).sent_1m == 1.0
