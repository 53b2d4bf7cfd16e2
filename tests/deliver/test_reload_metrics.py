"""Whether the configuration that runs is the one in the file."""

from sensor.deliver.reload_metrics import about_reloads
from sensor.deliver.snapshots import Counters


def test_nothing_where_it_cannot_be_read_again() -> None:
    assert list(about_reloads(Counters(reloads={}))) == []


def test_the_last_one_and_all_of_them() -> None:
    counters = Counters(reloads={"taken": 3, "refused": 1}, reload_ok=False, reloaded_at=7.5)
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in about_reloads(counters)
        for sample in family.samples
    }
    assert samples == {
        ("idlewire_config_last_reload_successful",): 0,
        ("idlewire_config_last_reload_success_timestamp_seconds",): 7.5,
        ("idlewire_config_reloads_total", "taken"): 3,
        ("idlewire_config_reloads_total", "refused"): 1,
    }
