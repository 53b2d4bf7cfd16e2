"""The sensor's side: the user's settings with what watches the test clients, and what the upload must set off."""

import asyncio
import os

import pytest

from sensor.base.times import SECOND
from sensor.base.units import Duration, Size
from sensor.capture.live import LiveSettings
from sensor.config import parse
from sensor.selftest import watching
from sensor.selftest.clients import CLIENTS
from sensor.selftest.network import SENSOR_END, wired
from sensor.selftest.steps import Report
from sensor.selftest.watching import DETECTORS, FOR, Watching, housed, tried

ours = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces")


def settings_of(config, name):
    return next(each.settings for each in config.detect.detectors if each.name == name)


def test_the_settings_stay_the_users(tmp_path):
    config = parse(
        {
            "name": "attic",
            "watch": [{"name": "china", "countries": ["CN"]}],
            "foreground": {"grace": "20s", "manual": {"token": "x" * 20}},
            "detect": {"background_upload": {"for": "2m", "min_bytes": "50KB", "window": "2h"}},
        }
    )
    changed = tried(config, tmp_path)
    assert [str(each.name) for each in changed.watch] == ["china", *(each.name for each in CLIENTS)]
    assert (changed.name, changed.state_dir) == ("attic", tmp_path)
    assert (changed.foreground.keys, changed.foreground.sources) == (config.foreground.keys, ())
    shortened = settings_of(changed, "background_upload")
    assert (shortened.for_, shortened.min_bytes, shortened.window) == (FOR, Size("50KB"), Duration("2h"))
    assert settings_of(changed, "watchlist") == settings_of(config, "watchlist")


def test_what_is_off_stays_off(tmp_path):
    changed = tried(parse({"detect": {"background_upload": {"enabled": False}}}), tmp_path)
    assert "background_upload" not in {each.name for each in changed.detect.detectors}


def test_the_database_is_unpacked_elsewhere(tmp_path):
    state = tmp_path / "state"
    with housed(parse({"state_dir": str(state)}), print) as house:
        assert house.geo.lookup(bytes((8, 8, 8, 8))).country == "US"
    assert not state.exists()


def ran(settings, **changes):
    said = []
    report = Report(said.append)
    watched = Watching(parse(settings), report)
    watched.prepare()
    for name, value in changes.items():
        setattr(watched, name, value)
    wire = LiveSettings(SENSOR_END, "always", 1 << 20, 0.05)
    with wired(wire) as ends, housed(parse(settings), watched.heard) as house:
        asyncio.run(watched.run(ends, house))
    return watched, report, said


@ours
def test_both_detectors_and_both_families():
    watched, report, said = ran({"capture": {"poll": "50ms"}})
    assert report.succeeded, said
    assert set(watched.alerts) == {(name, client.id) for name in DETECTORS for client in CLIENTS}
    upload = watched.alerts["background_upload", CLIENTS[1].id]
    assert "while its screen was off" in upload.summary
    assert upload.thresholds["for_seconds"] == FOR / SECOND
    for client in CLIENTS:
        alert = watched.alerts["watchlist", client.id]
        assert (alert.destination.address, alert.destination.name) == (client.destination, client.domain)
        assert alert.destination.place.owner is None


@ours
def test_an_allowance_that_covers_it_shows_as_what_is_missing(monkeypatch):
    monkeypatch.setattr(watching, "ALERT_SECONDS", 2.0)
    allow = {"name": "all", "reason": "test", "cidrs": ["::/1", "0.0.0.0/1", "128.0.0.0/1"]}
    settings = {"allow": [allow], "detect": {"watchlist": {"enabled": False}, "background_upload": {}}}
    _, report, said = ran(settings)
    failed = [each for each in report.steps if each.outcome == "FAILED"]
    assert [each.what for each in failed] == ["IPv4: no background_upload in 2 s", "IPv6: no background_upload in 2 s"]
    assert "[[allow]]" in failed[0].advice
    assert any(line.startswith("alert        watchlist is off in the settings") for line in said)


@ours
def test_a_wire_on_which_nothing_comes(monkeypatch):
    monkeypatch.setattr(watching, "FIRST_SECONDS", 0.5)
    monkeypatch.setattr("sensor.selftest.network.Wire.send", lambda *_: None)
    _, report, _ = ran({})
    assert [each.what for each in report.steps] == ["IPv4: nothing seen in 0.5 s", "IPv6: nothing seen in 0.5 s"]
    assert not report.succeeded


@ours
def test_what_the_account_does_not_have_is_missed(monkeypatch):
    real = watching.Packets.upload
    monkeypatch.setattr(watching.Packets, "upload", lambda self, count: real(self, count)[1:])
    _, report, _ = ran({"detect": {"background_upload": {"enabled": False}}})
    [four, six] = [each for each in report.steps if each.step == "counted"]
    assert (four.outcome, six.outcome) == ("FAILED", "FAILED")
    assert four.what.endswith("bytes, 0 packets dropped")
