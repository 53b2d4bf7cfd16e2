"""What rules would have raised, per client and day."""

from typing import Any

import pytest

from sensor.deliver import tallies
from sensor.deliver.report import Replayed, Result
from sensor.deliver.tallies import Tally, backtest_object, backtest_table

DAY = 86_400_000_000_000


def result(examples: Any, **sent: int) -> Result:
    mac = examples.mac
    return Result(
        Replayed(("a.pcap",), 3, 0, 1, 2), [examples.client()], {}, [], [], examples.info,
        {(mac, state): nbytes for state, nbytes in sent.items()},
    )  # fmt: skip


def test_alerts_per_client_and_day(examples: Any) -> None:
    tally = Tally()
    first = examples.alert("a1")
    tally.add(first)
    tally.add(examples.alert("a1", state="resolved", resolved_at=first.started_at + 1))
    tally.add(examples.alert("a2", started_at=first.started_at + DAY))
    assert sorted(tally.counts.values()) == [1, 1]
    said = backtest_table(result(examples, background=5), tally)
    assert "2 alerts" in said
    assert said.count("watchlist") >= 2
    assert "blind" not in said
    found = backtest_object(result(examples, background=5), tally)
    assert [(row["client"], row["alerts"]) for row in found["days"]] == [(first.client.id, 1)] * 2
    assert [alert["state"] for alert in found["alerts"]] == ["resolved", "firing"]


def test_it_says_where_the_rules_were_blind(examples: Any) -> None:
    said = backtest_table(result(examples, background=500, unknown=1_500), Tally())
    assert "0 alerts" in said
    assert "blind" in said
    assert "phone: 1.5 KB of 2.0 KB sent" in said
    found = backtest_object(result(examples, background=500, unknown=1_500), Tally())
    assert found["sent_bytes"] == [{"client": examples.mac, "foreground": 0, "background": 500, "unknown": 1_500}]


def test_all_are_counted_though_not_all_are_kept(examples: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "MAX_KEPT", 2)
    tally = Tally()
    for number in range(5):
        tally.add(examples.alert(f"a{number}"))
    assert (sum(tally.counts.values()), len(tally.kept)) == (5, 2)
