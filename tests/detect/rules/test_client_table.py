import pytest

from sensor.base.units import Duration
from sensor.detect.base import Facts
from sensor.detect.engine import Engine
from sensor.detect.rules.client_table import ClientTable, Settings
from sensor.model.alert import AlertClient

SECOND = 1_000_000_000


@pytest.fixture
def engine() -> Engine:
    return Engine([ClientTable(Settings(resolve_after=Duration("10m")), Facts(_who))])


def _who(client: str) -> AlertClient:
    return AlertClient(client, None, None, None, ())


def test_a_full_table_is_one_alert_for_as_long_as_it_goes_on(engine: Engine) -> None:
    [alert] = engine.crowded(5 * SECOND, 1_000)
    assert (alert.state, alert.client.id, alert.destination) == ("firing", "other", None)
    assert alert.summary.startswith("The table of clients is full at 1,000: further ones count together")
    assert engine.crowded(6 * SECOND, 1_000) == engine.tick(7 * SECOND) == []
    [now] = engine.alerts()
    assert (now.id, now.updated_at) == (alert.id, 6 * SECOND)


def test_it_is_over_when_there_was_room_for_a_while(engine: Engine) -> None:
    [alert] = engine.crowded(5 * SECOND, 1_000)
    assert engine.tick(604 * SECOND) == []
    [over] = engine.tick(700 * SECOND)
    assert (over.id, over.state, over.resolved_at) == (alert.id, "resolved", 605 * SECOND)
    [again] = engine.crowded(800 * SECOND, 1_000)
    assert again.fingerprint == alert.fingerprint
    assert again.id != alert.id


def test_silent_while_there_is_room(engine: Engine) -> None:
    assert engine.tick(1) == engine.tick(10**18) == engine.alerts() == []


@pytest.mark.parametrize("addresses", [("192.168.2.100",), ("2400:3200::1",)])
def test_whoever_is_counted_there_is_shown(addresses: tuple[str, ...]) -> None:
    facts = Facts(lambda client: AlertClient(client, None, None, None, addresses))
    [alert] = Engine([ClientTable(Settings(), facts)]).crowded(1, 2)
    assert alert.client.addresses == addresses
