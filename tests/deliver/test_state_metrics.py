"""Phone states as metrics."""

from sensor.deliver import state_metrics
from sensor.deliver.snapshots import ClientForeground, Counters, SourceState
from sensor.deliver.state_metrics import about_states
from sensor.model.foreground import Foreground

SECOND = 1_000_000_000
PHONE, OTHERS = "60:38:e0:c5:35:a0", "02:00:00:00:00:01"


def samples(
    counters: Counters, own: set[str], known: tuple[ClientForeground, ...] = ()
) -> dict[tuple[str, ...], float]:
    return {
        (sample.name.removeprefix("idlewire_"), *sample.labels.values()): sample.value
        for family in about_states(counters, known, own)
        for sample in family.samples
    }


def test_bytes_by_state_and_clients_without_series_together() -> None:
    counters = Counters(
        state_sent={(PHONE, "background"): 5, (PHONE, "unknown"): 7, (OTHERS, "unknown"): 1, ("x", "unknown"): 2}
    )
    found = samples(counters, {PHONE})
    assert found["client_state_sent_bytes_total", PHONE, "background"] == 5
    assert found["client_state_sent_bytes_total", PHONE, "unknown"] == 7
    assert found["client_state_sent_bytes_total", "other", "unknown"] == 3
    assert found["client_state_sent_bytes_total", PHONE, "foreground"] == 0, "counters begin at 0"


def test_what_all_sources_together_say() -> None:
    known = (
        ClientForeground(PHONE, None, 0, Foreground("background", "push", 0, 0)),
        ClientForeground(OTHERS, None, 0, Foreground("unknown", None, None, None)),
    )
    found = samples(Counters(), {PHONE}, known)
    assert {key: amount for key, amount in found.items() if key[0] == "client_state"} == {
        ("client_state", PHONE, "foreground"): 0,
        ("client_state", PHONE, "background"): 1,
        ("client_state", PHONE, "unknown"): 0,
    }


def test_what_each_source_says_and_when() -> None:
    found = samples(Counters(standings=[(PHONE, SourceState("push", "background", 90 * SECOND))]), {PHONE})
    assert found["client_foreground_state", PHONE, "push", "background"] == 1
    assert found["client_foreground_state", PHONE, "push", "foreground"] == 0
    assert found["client_foreground_timestamp_seconds", PHONE, "push"] == 90


def test_reports_and_the_precision_of_what_was_inferred() -> None:
    counters = Counters(
        reports={("push", "taken"): 4, ("push", "lost"): 1},
        source_events={("adb", "offline"): 2},
        verdicts={("inferred", "background", "foreground"): 3},
        alert_truths={("background_upload", "background"): 2},
    )
    found = samples(counters, set())
    assert found["foreground_reports_total", "push", "lost"] == 1
    assert found["foreground_source_events_total", "adb", "offline"] == 2
    assert found["foreground_verdicts_total", "inferred", "background", "foreground"] == 3
    assert found["alerts_truth_total", "background_upload", "background"] == 2


def test_series_have_an_end(monkeypatch) -> None:
    monkeypatch.setattr(state_metrics, "MAX_STANDINGS", 1)
    standings = [(PHONE, SourceState(source, "background", SECOND)) for source in ("push", "adb")]
    found = samples(Counters(standings=standings), {PHONE})
    assert len([key for key in found if key[0] == "client_foreground_timestamp_seconds"]) == 1
