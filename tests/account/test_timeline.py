"""One frame with a wrong time must not move everybody's clock."""

import numpy as np
import pytest

from sensor.account.timeline import Timeline
from sensor.base.times import SECOND

NOW = 1_790_000_000


def seconds(*times: float) -> np.ndarray:
    return np.array([int(time * SECOND) for time in times], np.int64)


def settled(*times: float) -> list[float]:
    return [time / SECOND for time in Timeline().settle(seconds(*times))[0].tolist()]


def test_ordinary_times_stay() -> None:
    assert settled(NOW, NOW + 1, NOW + 3600) == [NOW, NOW + 1, NOW + 3600]


def test_late_frames_keep_their_time_but_the_clock_does_not_go_back() -> None:
    times, clock = Timeline().settle(seconds(NOW, NOW + 2, NOW + 0.5, NOW + 3))
    assert times.tolist() == seconds(NOW, NOW + 2, NOW + 0.5, NOW + 3).tolist()
    assert clock.tolist() == seconds(NOW, NOW + 2, NOW + 2, NOW + 3).tolist()


def test_single_frames_in_1970_and_2106_are_clamped_and_counted() -> None:
    timeline = Timeline()
    times, clock = timeline.settle(seconds(NOW, 0, NOW + 1, 4_290_000_000, NOW + 2))
    assert times.tolist() == seconds(NOW, NOW, NOW + 1, NOW + 1, NOW + 2).tolist()
    assert clock.tolist() == times.tolist()
    assert (timeline.clamped, timeline.steps) == (2, 0)


@pytest.mark.parametrize("step", [-14 * 86_400, 21 * 86_400])
def test_a_real_step_is_believed_from_the_second_frame_on(step: int) -> None:
    timeline = Timeline()
    times, _ = timeline.settle(seconds(NOW, NOW + step, NOW + step + 1))
    assert times.tolist() == seconds(NOW, NOW, NOW + step + 1).tolist()
    assert (timeline.clamped, timeline.steps) == (1, 1)


def test_batch_borders_change_nothing() -> None:
    times = seconds(NOW, 0, NOW + 1, NOW + 30 * 86_400, NOW + 30 * 86_400 + 1, NOW + 30 * 86_400 - 5)
    whole, single = Timeline(), Timeline()
    together = whole.settle(times)
    apart = [single.settle(times[at : at + 1]) for at in range(len(times))]
    assert together[0].tolist() == [one[0].item() for one in apart]
    assert together[1].tolist() == [one[1].item() for one in apart]
    assert (whole.clamped, whole.steps) == (single.clamped, single.steps)


def test_no_frames_no_time() -> None:
    timeline = Timeline()
    timeline.settle(seconds())
    assert timeline.now is None
