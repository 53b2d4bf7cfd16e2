"""SIGHUP to the real daemon under load: other rules, the same counts."""

import os
import re
import signal
import time
from pathlib import Path

from daemon import Hook, Sensor, until
from lab import CLIENT_MACS, Lab
from recount import Recorder, recount
from traffic import Internet, load, transfer

PHONE = CLIENT_MACS["c1"]
SINK = '[[sink]]\nname = "hook"\ntype = "webhook"\nurl = "http://127.0.0.1:9000/hook"\n'


def watch(name: str, *addresses: str) -> str:
    return f'[[watch]]\nname = "{name}"\ncidrs = [{", ".join(f"{each!r}" for each in addresses)}]\n'


def reload(sensor: Sensor, config: str, outcome: str = "taken") -> None:
    """Writes the file, sends SIGHUP and waits until it was looked at."""
    key = f'idlewire_config_reloads_total{{outcome="{outcome}"}}'
    before = sensor.metrics()[key]
    sensor.config.write_text(f'state_dir = "{sensor.state}"\n{config}')
    os.kill(sensor.pid, signal.SIGHUP)
    assert until(lambda: sensor.metrics()[key] == before + 1, 10), sensor.log


def test_other_rules_under_load_lose_no_packet(
    sensor: Sensor, lab: Lab, internet: Internet, hook: Hook, tmp_path: Path
) -> None:
    loaded, old, new = lab.new_address(), lab.new_address(), lab.new_address()
    sensor.start(watch("old", old) + SINK)
    with Recorder(lab.c1, "c0", tmp_path / "client.pcap"):
        with load(lab.c1, loaded, chunk=2_000_000):
            transfer(lab.c1, new, up=1_000)  # a contact that is known before anybody watches it
            for number in range(10):
                reload(sensor, watch("new", new, f"203.0.113.{number}") + SINK)
            transfer(lab.c1, old, up=1_000)
            transfer(lab.c1, new, up=1_000)
            assert until(lambda: hook.about(new), 5)
        time.sleep(0.4)
    truth = recount(tmp_path / "client.pcap", PHONE)

    def seen() -> dict[str, tuple[int, ...]]:
        return {
            row["address"]: (
                row["sent_bytes"], row["received_bytes"], row["sent_packets"], row["received_packets"],
            )
            for row in sensor.destinations(PHONE).values()
        }  # fmt: skip

    expected = {remote: tuple(count) for (_, remote), count in truth.items() if remote in (loaded, old, new)}
    assert until(lambda: expected.items() <= seen().items(), 5), (expected, seen())
    assert sum(expected[loaded][2:]) > 5_000
    assert sensor.metric("idlewire_capture_dropped_frames_total") == 0
    assert not hook.about(old), "the rule that was taken out still fires"
    assert {alert["reason"]["rule"] for _, alert in hook.about(new)} == {"new"}
    assert sensor.log.count("reload: taken; changed: watch") == 10


def test_a_bad_file_changes_nothing_and_says_so(sensor: Sensor, lab: Lab, internet: Internet, hook: Hook) -> None:
    place = lab.new_address()
    sensor.start(watch("a", place) + SINK)
    began = sensor.metric("idlewire_config_last_reload_success_timestamp_seconds")
    assert time.time() - began < 60
    reload(sensor, '[[watch]]\nname = "a"\ncountries = ["CHN"]\n[web]\nlisen = "x"', outcome="refused")
    assert sensor.metric("idlewire_config_last_reload_successful") == 0
    lines = [line for line in sensor.log.splitlines() if "reload: " in line]
    assert [re.sub(r"^.*reload: ", "", line) for line in lines] == [
        f"{sensor.config}: watch[0] (\"a\").countries: 'CHN' is not an ISO 3166-1 alpha-2 code; write it like CN",
        f"{sensor.config}: web.lisen: unknown key; did you mean 'web.listen'?",
        "refused, the configuration that was running goes on",
    ]
    transfer(lab.c1, place, up=1_000)
    assert until(lambda: hook.about(place), 5)
    reload(sensor, watch("a", place) + SINK + '[web]\nlisten = "127.0.0.1:1"\n')
    assert sensor.metric("idlewire_config_last_reload_successful") == 1
    assert sensor.metric("idlewire_config_last_reload_success_timestamp_seconds") > began
    assert "web.listen needs a restart; left as it is" in sensor.log
    assert [each["state"] for each in sensor.get("/api/v1/alerts")["alerts"]] == ["firing"]


def test_what_only_root_may_read_is_kept_and_named(sensor: Sensor, lab: Lab, internet: Internet, hook: Hook) -> None:
    """Started as root, the daemon read them; the user it became cannot."""
    secret = sensor.config.with_name("url")
    secret.write_text("http://127.0.0.1:9000/hook")
    secret.chmod(0o600)
    sink = f'[[sink]]\nname = "hook"\ntype = "webhook"\nurl_file = "{secret}"\n'
    place = lab.new_address()
    sensor.start(sink)
    reload(sensor, sink + watch("a", place))
    assert f"{secret}: Permission denied; the sensor is the user" in sensor.log
    assert "what it held at the start goes on" in sensor.log
    transfer(lab.c1, place, up=1_000)
    assert until(lambda: hook.about(place), 5)
    # A sink that is new needs its secret.
    reload(sensor, sink + sink.replace('"hook"', '"other"') + watch("a", place), outcome="refused")
    assert re.search(rf"sink other: url_file: {secret}: Permission denied; .*sudo chgrp \w+ FILE", sensor.log)
    sensor.config.chmod(0o600)
    refused = sensor.metrics()['idlewire_config_reloads_total{outcome="refused"}']
    os.kill(sensor.pid, signal.SIGHUP)
    assert until(lambda: sensor.metrics()['idlewire_config_reloads_total{outcome="refused"}'] > refused, 10)
    assert f"{sensor.config}: Permission denied; the sensor is the user" in sensor.log


def test_every_plug_in_can_be_named_after_the_drop(sensor: Sensor, lab: Lab) -> None:
    """Sources that take posts, detectors, sinks: all are there though nothing is imported any more."""
    sensor.start()
    reload(
        sensor,
        '[foreground.push]\n[[foreground.push.phone]]\nclient = "64:09:80:00:00:01"\ntoken = "abcdefghijklmnop"\n'
        '[foreground.inferred]\n[detect.new_destination]\n[[sink]]\nname = "n"\ntype = "ntfy"\ntopic = "abcdefghijk"\n'
        'server = "http://127.0.0.1:1"\n[[allow]]\nname = "x"\nreason = "y"\ncidrs = ["192.0.2.0/24"]\n',
    )
    status, _, _ = sensor.request(
        "/api/v1/foreground", method="POST", headers={"Authorization": "Bearer abcdefghijklmnop"}
    )
    assert status != 404
    assert 'idlewire_alerts_total{detector="new_destination",severity="info"}' in sensor.metrics()
    reload(sensor, "")
    assert sensor.request("/api/v1/foreground", method="POST")[0] == 404
