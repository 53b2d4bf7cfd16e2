"""Scraped text parses, counters only rise, and the number of series has an end."""

import re
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sensor.deliver import metrics as module
from sensor.deliver.metrics import Metrics, SeriesCap
from sensor.deliver.routing import NotifySettings, Router
from sensor.deliver.snapshots import Counters
from tests.deliver.letters import Scripted, built, notice


def scrape(metrics):
    """{(name, sorted labels): value} of everything under our prefix."""
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def value(samples, name, /, **labels):
    return samples[(f"idlewire_{name}", tuple(sorted(labels.items())))]


def test_names_and_values(world, examples):
    world.counts = Counters(
        interface="br0",
        frames=90,
        dropped_frames=10,
        undecodable_frames=3,
        packets=80,
        messages={"dns": 4, "tls": 5},
        evicted={"destinations": 7},
        clients=1,
        destinations=2,
        flows=6,
        interface_waits=1,
        interface_reopens=2,
        alerts={("watchlist", "warning"): 3},
        country_sent={(examples.mac, "DE"): 900, (examples.mac, None): 100},
    )
    delivery = built(None, Scripted())
    delivery.put(notice())
    samples = scrape(Metrics(world, delivery.outboxes, ["watchlist"], delivery.journal))
    mac = examples.mac
    assert value(samples, "capture_frames_total") == 90
    assert value(samples, "capture_dropped_frames_total") == 10
    assert value(samples, "capture_undecodable_frames_total") == 3
    assert value(samples, "packets_total") == 80
    assert value(samples, "messages_total", kind="tls") == 5
    assert value(samples, "evicted_rows_total", table="destinations") == 7
    assert value(samples, "table_rows", table="flows") == 6
    assert value(samples, "capture_interface_info", interface="br0") == 1
    assert value(samples, "capture_interface_up") == 1
    assert value(samples, "client_sent_bytes_total", client=mac) == 1200
    assert value(samples, "client_received_bytes_total", client=mac) == 340
    assert value(samples, "client_info", client=mac, mac=mac, name="phone", vendor="Wistron Neweb") == 1
    assert value(samples, "client_country_sent_bytes_total", client=mac, country="DE") == 900
    assert value(samples, "client_country_sent_bytes_total", client=mac, country="unknown") == 100
    assert value(samples, "alerts_total", detector="watchlist", severity="warning") == 3
    assert value(samples, "alerts_total", detector="watchlist", severity="critical") == 0
    assert value(samples, "alerts_firing", detector="watchlist", severity="warning") == 1
    assert value(samples, "build_info", version="0.1.0") == 1
    assert value(samples, "geo_database_build_timestamp_seconds", database="IPinfo Lite") == 1_790_000_000
    assert value(samples, "notifications_total", sink="lab", outcome="delivered") == 0
    assert value(samples, "outbox_messages", sink="lab") == 1
    assert value(samples, "notification_retries_total", sink="lab") == 0
    assert samples[("process_resident_memory_bytes", ())] > 0


def test_every_family_has_help_and_no_created_series(world):
    text = Metrics(world, [], ["watchlist"]).render().decode()
    assert "_created" not in text
    for line in text.splitlines():
        if line.startswith("# HELP"):
            assert len(line.split(" ", 3)) == 4


def test_nothing_seen_yet(world):
    world.all_clients, world.all_alerts, world.counts = [], [], Counters()
    world.info = replace(world.info, geo_database=None)
    samples = scrape(Metrics(world, [], ["watchlist"]))
    assert value(samples, "alerts_total", detector="watchlist", severity="info") == 0
    assert not any(name == "idlewire_client_sent_bytes_total" for name, _ in samples)


def test_a_missing_interface_shows(world):
    world.counts = Counters(interface="nope0", interface_up=False)
    assert value(scrape(Metrics(world, [], [])), "capture_interface_up") == 0


def test_clients_beyond_the_cap_are_summed_and_nothing_falls(world, examples, monkeypatch):
    monkeypatch.setattr(module, "MAX_CLIENT_SERIES", 2)
    names = [f"02:00:00:00:00:0{number}" for number in range(5)]
    world.all_clients = [*(examples.client(name) for name in names), examples.client("other", mac=None)]
    metrics = Metrics(world, [], [])
    samples = scrape(metrics)
    assert value(samples, "client_sent_bytes_total", client=names[1]) == 1200
    assert value(samples, "client_sent_bytes_total", client="other") == 4 * 1200
    assert value(samples, "label_overflow_total", label="client") == 3
    # One that had its own series goes (account keeps its bytes in "other"); a late one must not take its place.
    world.all_clients = [*(examples.client(name) for name in names[1:]), examples.client("other", mac=None)]
    world.all_clients[-1] = replace(world.all_clients[-1], totals=examples.totals(2400, 680))
    samples = scrape(metrics)
    assert value(samples, "client_sent_bytes_total", client="other") == 5 * 1200
    # A new one may.
    world.all_clients.append(examples.client("02:00:00:00:00:99"))
    assert value(scrape(metrics), "client_sent_bytes_total", client="02:00:00:00:00:99") == 1200


def test_countries_beyond_the_cap_are_summed(world, examples, monkeypatch):
    monkeypatch.setattr(module, "MAX_COUNTRY_SERIES", 2)
    sent = {(examples.mac, code): 10 for code in ("DE", "FR", "CN", "US")} | {("gone", "CN"): 5}
    world.counts = Counters(country_sent=sent)
    samples = scrape(Metrics(world, [], []))
    assert value(samples, "client_country_sent_bytes_total", client=examples.mac, country="FR") == 10
    assert value(samples, "client_country_sent_bytes_total", client="other", country="other") == 25


def test_what_idle_clients_send_has_the_same_series(world, examples, monkeypatch):
    monkeypatch.setattr(module, "MAX_COUNTRY_SERIES", 1)
    world.counts = Counters(
        country_sent={(examples.mac, "DE"): 10, (examples.mac, "CN"): 7, ("gone", None): 5},
        idle_sent={(examples.mac, "DE"): 3, (examples.mac, "CN"): 2, ("gone", None): 1},
    )
    samples = scrape(Metrics(world, [], []))
    assert value(samples, "client_background_sent_bytes_total", client=examples.mac, country="DE") == 3
    assert value(samples, "client_background_sent_bytes_total", client="other", country="other") == 3


def test_every_client_with_bytes_has_a_name_to_join(world, examples, monkeypatch):
    monkeypatch.setattr(module, "MAX_CLIENT_SERIES", 1)
    world.all_clients.append(examples.client("02:00:00:00:00:01"))
    samples = scrape(Metrics(world, [], []))

    def clients(name):
        return {dict(labels)["client"] for each, labels in samples if each == f"idlewire_{name}"}

    assert clients("client_info") == clients("client_sent_bytes_total") == {examples.mac, "other"}
    assert value(samples, "client_last_seen_timestamp_seconds", client=examples.mac) == 1_790_000_090


def test_which_clients_alerts_are_about(world, examples):
    world.all_clients.append(examples.client("02:00:00:00:00:01"))
    samples = scrape(Metrics(world, [], []))
    assert value(samples, "client_alerts_firing", client=examples.mac) == 1
    assert value(samples, "client_alerts_firing", client="02:00:00:00:00:01") == 0


def test_a_detector_that_fails_shows(world):
    world.counts = Counters(failures={"watchlist": 2})
    assert value(scrape(Metrics(world, [], [])), "detector_failures_total", detector="watchlist") == 2


def test_series_cap_forgets_who_left():
    cap = SeriesCap(1)
    assert cap.own(["a", "b"]) == {"a"}
    assert cap.own(["b"]) == set()
    assert cap.own(["b", "c"]) == {"c"}
    assert cap.overflowed == 1


def test_hostile_text_stays_inside_its_label(examples):
    for payload in examples.payloads:
        world = examples.hostile_world(payload)
        text = Metrics(world, [], ["watchlist"]).render().decode()
        families = {family.name for family in text_string_to_metric_families(text)}
        assert not any("forged" in name for name in families)
        assert all(line.isprintable() for line in text.split("\n"))


def test_cost_of_a_full_scrape(world, examples):
    macs = [f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}" for number in range(1000)]
    world.all_clients = [examples.client(mac) for mac in macs]
    codes = [f"{a}{b}" for a in "ABCDE" for b in "ABCDE"]
    world.counts = Counters(country_sent={(mac, code): 1 for mac in macs for code in codes})
    metrics = Metrics(world, [], ["watchlist"])
    metrics.render()
    start = time.process_time()
    text = metrics.render()
    assert text.count(b"\n") < module.MAX_CLIENT_SERIES * 8 + module.MAX_COUNTRY_SERIES + 500
    assert time.process_time() - start < 1, "about 0.05 s on a desktop"


@pytest.mark.parametrize("detectors", [[], ["a", "b"]])
def test_detectors_are_known_from_the_start(world, detectors):
    world.all_alerts = []
    samples = scrape(Metrics(world, [], detectors))
    known = {dict(labels)["detector"] for name, labels in samples if name == "idlewire_alerts_total"}
    assert known == set(detectors)


def test_what_people_were_not_told_is_counted(world):
    router = Router(NotifySettings())
    router.suppressed["quiet"] += 2
    samples = scrape(Metrics(world, [], ["watchlist"], router=router))
    assert value(samples, "notifications_suppressed_total", reason="quiet") == 2
    assert value(samples, "notifications_suppressed_total", reason="cap") == 0


def everything(world):
    """With all that a running sensor has."""
    delivery = built(None, Scripted())
    router = Router(NotifySettings())
    world.counts = replace(world.counts, reloads={"taken": 0}, reloaded_at=1.8e9)
    return Metrics(world, delivery.outboxes, ["watchlist"], delivery.journal, router)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (Debian package prometheus)")
def test_prometheus_has_nothing_to_say_about_the_names(world):
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=everything(world).render(), capture_output=True, check=False
    )
    assert (done.returncode, done.stderr.decode()) == (0, "")


def test_the_readme_has_every_metric(world):
    rows = []
    for family in everything(world).collect():
        labels = ", ".join(family.labels)
        rows.append(f"| `{family.sample_name}` | {family.type} | {labels} | {family.documentation} |")
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    told = [line for line in readme.splitlines() if re.match(r"\| `idlewire_\w+` \| (gauge|counter) ", line)]
    assert sorted(told) == sorted(rows), "the table under Metrics in README.md"


@pytest.mark.parametrize("name", ["MAX_CLIENT_SERIES", "MAX_COUNTRY_SERIES"])
def test_the_readme_says_where_series_end(name):
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert f"{getattr(module, name):,}" in readme.partition("### Metrics")[2].partition("\n## ")[0]
