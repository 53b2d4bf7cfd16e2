"""The world of these tests is what the protocol asks for."""

from sensor.deliver.snapshots import Counters, Snapshots


def test_everything_starts_at_nothing():
    counters = Counters()
    assert (counters.frames, counters.interface, dict(counters.evicted)) == (0, None, {})


def test_a_plain_object_will_do(world):
    snapshots: Snapshots = world
    assert snapshots.sensor().name == "box"
    assert snapshots.destinations("nobody") == []
