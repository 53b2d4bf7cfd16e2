"""What the rules share, tried on the plainest of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from sensor.base.times import SECOND
from sensor.base.units import Duration
from sensor.detect import idle
from sensor.detect.base import Coverage
from sensor.detect.idle import IdleCase, IdleDetector, case_of, key_of, silent_if
from sensor.detect.owners import Label, OwnerSecond
from sensor.model.alert import Alert
from sensor.model.foreground import BACKGROUND, Foreground
from tests.detect.lab import CHINA, CLOUD, PHONE, START, TABLET, V4, V6, Lab, Move


@dataclass(frozen=True)
class Settings:
    """[detect.any]."""

    enabled: bool = True
    window: Duration = Duration("1h")
    resolve_after: Duration = Duration("1m")
    severity: str = "warning"


class AnyUpload(IdleDetector):
    """Every upload in the background is one too many."""

    settings_type = Settings

    def judge(self, second: OwnerSecond, known: Foreground, until: int, coverage: Coverage) -> Iterator[Alert]:
        movement, key = second.movement, key_of(second.label)
        if second.state != BACKGROUND:
            return
        if not movement.uploaded:
            self.go_on(second, known, coverage)
            return
        yield from self.lapsed(key, movement.first_seen)
        share = self.followed.share(second.label)
        share.last = movement.last_seen
        share.window.add(until, self.settings.window, movement)
        if share not in self.due(key):
            self.excuse(share)
        elif not self.follow(key, movement, known, coverage, movement.uploaded):
            before = coverage.frames_before, coverage.dropped_before
            case = case_of(self, second.label, [share.window], movement, known, coverage, before)
            yield from self.open(key, case)

    def said(self, case: IdleCase, about: str, far: str, *, over: bool) -> str:
        return f"{about}, {far}, {case.counted}, {'over' if over else 'so far'}"


def lab(**more: Any) -> Lab:
    made = Lab(AnyUpload, **more)
    made.is_("background")
    return made


@pytest.mark.parametrize("address", [V4, V6])
def test_an_alert_from_its_first_packet_to_its_end(address: str) -> None:
    one = lab()
    one.meets(address)
    [fired] = one.second(Move(0, 1_000, 300), dropped=2)
    assert (fired.state, fired.started_at, fired.resolved_at) == ("firing", START + SECOND // 2, None)
    assert fired.summary.endswith(", 1000, so far")
    assert one.seconds(9, Move(0, 1_000, 300)) == []
    [now] = one.engine.alerts()
    assert (now.id, now.measured["uploaded_bytes"], now.evidence.received_bytes) == (fired.id, 10_000, 3_000)
    assert (now.evidence.frames, now.updated_at) == (1_000, START + 9 * SECOND + SECOND // 2)
    [over] = one.waits(60)
    assert (over.id, over.state, over.resolved_at) == (fired.id, "resolved", over.evidence.last_seen + 60 * SECOND)
    assert over.summary.endswith(", 10000, over")


def test_what_is_only_shown_keeps_nothing_open() -> None:
    one = lab()
    one.meets()
    [fired] = one.second(Move(0, 1_000))
    [over] = one.seconds(70, Move(0, 0, 900, 80))
    assert (over.id, over.state) == (fired.id, "resolved")


def test_a_late_second_closes_what_was_over_and_opens_another() -> None:
    one = lab()
    one.meets()
    [first] = one.second(Move(0, 1_000))
    one.now += 100 * SECOND
    [over, second] = one.second(Move(0, 1_000))
    assert (over.id, over.state, second.state) == (first.id, "resolved", "firing")
    assert (second.fingerprint, second.measured["uploaded_bytes"]) == (first.fingerprint, 1_000)
    assert second.id != first.id


def test_time_that_goes_back_a_little_ends_nothing_and_far_back_ends_it() -> None:
    one = lab()
    one.meets()
    one.seconds(10, Move(0, 1_000))
    one.now -= 5 * SECOND
    assert one.second(Move(0, 1_000)) == []
    assert [alert.state for alert in one.waits(-90)] == ["resolved"]


def test_a_step_closes_everything() -> None:
    one = lab()
    one.meets(row=0)
    one.meets(V6, CLOUD, row=1)
    one.second(Move(0, 1), Move(1, 1))
    assert [alert.state for alert in one.steps(10)] == ["resolved", "resolved"]
    assert one.detector.followed.shares((PHONE, "Example Cloud")) == []


def test_each_client_has_room_of_its_own_and_all_have_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "MAX_CASES", 2)
    monkeypatch.setattr(idle, "MAX_ACTIVE", 3)
    one = lab()
    one.is_("background", TABLET)
    for row in range(3):
        one.meets(V4, CHINA._replace(owner=f"Owner {row}"), row=row)
    for row in (3, 4):
        one.meets(V4, CHINA._replace(owner=f"Owner {row}"), row=row, client=TABLET)
    alerts = one.second(*(Move(row, 1) for row in range(5)))
    assert [alert.client.id for alert in alerts] == [PHONE, PHONE, TABLET]
    assert one.engine.suppressed == {"test_idle": 2}
    one.waits(60)
    assert len(one.second(Move(2, 1))) == 1


def test_the_severity_of_what_was_inferred_stays_what_it_was_at_first() -> None:
    one = Lab(AnyUpload)
    one.meets()
    one.is_("background", source="inferred")
    [fired] = one.second(Move(0, 1))
    one.is_("background", source="push")
    one.second(Move(0, 1))
    [now] = one.engine.alerts()
    assert (fired.severity, now.severity, now.evidence.foreground.source) == ("info", "info", "push")


def test_what_was_kept_for_too_long_is_let_go_of() -> None:
    one = lab(allow=[{"name": "all", "countries": ["CN"]}])
    one.meets()
    one.second(Move(0, 1))
    one.waits(3_599)
    assert one.detector.followed.shares((PHONE, "China Unicom Beijing")) != []
    one.waits(60)
    assert one.detector.followed.shares((PHONE, "China Unicom Beijing")) == []
    assert one.engine.allowed == {"test_idle": 1}


def test_the_key_of_a_case_is_the_client_and_the_owner() -> None:
    label = Label(PHONE, "Xiaomi", "china", ())
    assert key_of(label) == (PHONE, "Xiaomi")
    assert silent_if("for above 61 s", label=label) == [
        "a person had used it", "for above 61 s", 'an [[allow]] for "Xiaomi" on this client',
    ]  # fmt: skip


def test_a_rule_must_say_what_it_judges() -> None:
    one = IdleDetector(Settings(), Lab(AnyUpload).detector.facts)
    with pytest.raises(NotImplementedError):
        one.judge(OwnerSecond(Label(PHONE, "a", None, ()), 2, None), Foreground(), 1, Coverage(0, 0, 0, 0))  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError):
        one.said(None, "", "", over=True)  # type: ignore[arg-type]
