"""Real Prometheus scrapes the real daemon: what dashboards and rules ask for is there; alerts arrive and are over."""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from daemon import PORT as SENSOR_PORT
from daemon import ROOT, Sensor, running, until
from lab import CLIENT_MACS, Lab
from monitoring import ALERTMANAGER_PORT, Alertmanager, Prometheus, lacking
from test_foreground import push
from test_idle_uploads import FOR, PHONES, TOKENS, upload
from traffic import Internet, transfer

PHONE, TABLET = CLIENT_MACS["c1"], CLIENT_MACS["c2"]
RANGE = 60
"""Seconds that the dashboards show here."""
VARIABLES = {
    "$__rate_interval": "10s", "$__range_s": str(RANGE), "$__range": f"{RANGE}s", "$job": ".+", "$instance": ".+",
    "$client": PHONE,
}  # fmt: skip
COMING = re.compile("idlewire_config_last_reload_")
"""What has no data as long as the sensor does not know the metric."""
EMPTY = {
    "idlewire_alerts_truth_total": "needs a phone whose own counters are read (adb with truth)",
    "idlewire_foreground_verdicts_total": "needs a source whose word can be held against another",
}
"""Metrics that may have no series in a healthy house."""
CONFIG = f"""
[foreground]
grace = "0s"
[foreground.push]
listen = "192.168.50.1:8471"
{PHONES}
[[client]]
mac = "{PHONE}"
name = "Redmi Note"
[detect.background_upload]
for = "5s"
min_bytes = "50KB"
resolve_after = "6s"
[[sink]]
name = "family"
type = "alertmanager"
url = "http://127.0.0.1:{ALERTMANAGER_PORT}"
"""


class House(NamedTuple):
    """All that runs."""

    lab: Lab
    sensor: Sensor
    prometheus: Prometheus
    alertmanager: Alertmanager


@pytest.fixture(scope="module")
def house(lab: Lab, internet: Internet) -> Iterator[House]:
    if reason := lacking():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="idlewire-lab-"))
    folder.chmod(0o755)
    prometheus, alertmanager = Prometheus(lab.box, folder), Alertmanager(lab.box, folder)
    try:
        alertmanager.open()
        prometheus.open(SENSOR_PORT)
        with running(lab.box, folder, CONFIG) as sensor:
            made = House(lab, sensor, prometheus, alertmanager)
            use(made)
            yield made
    finally:
        prometheus.stop()
        alertmanager.stop()


def use(house: House) -> None:
    """The tablet is used, the phone uploads in a pocket."""
    lab = house.lab
    for client in (lab.c1, lab.c2):
        transfer(client, lab.new_address(), up=2_000)
    assert push(lab, lab.c1, {"event": "screen_off"}, token=TOKENS["c1"]) == 200
    assert push(lab, lab.c2, {"event": "app_opened", "app": "com.foo"}, token=TOKENS["c2"]) == 200
    transfer(lab.c2, lab.new_address(), up=50_000, down=200_000)
    upload(lab.c1, lab.new_address(block="42.62.48"), FOR + 2)


def targets() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(where it stands, panel, target) of every query of every dashboard."""
    for file in sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets", ()):
                yield f"{file.stem}: {panel['title']} {target['refId']}", panel, target


def filled_in(text: str) -> str:
    for name, value in VARIABLES.items():
        text = text.replace(name, value)
    return text


def labels_needed(panel: dict[str, Any], target: dict[str, Any]) -> set[str]:
    """What legend and links take from a series; and the columns of a table that has one query."""
    written = json.dumps(panel["fieldConfig"])
    needed = set(re.findall(r"__field\.labels\.(\w+)", written)) | set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
    if panel["type"] == "table" and len(panel["targets"]) == 1:
        shown = panel["transformations"][1]["options"]["indexByName"]
        needed |= {name for name in shown if not name.startswith("Value")}
    return needed


def metrics_in(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:idlewire_\w+|process_\w+|scrape_\w+|up)\b", expression))


def absent(house: House, expression: str) -> bool:
    """Whether an expression may yield nothing."""
    known = {name.split("{")[0] for name in house.sensor.metrics()}
    return any(
        name in EMPTY or (COMING.match(name) is not None and name not in known) for name in metrics_in(expression)
    )


def test_every_panel_has_data_with_the_labels_that_it_shows(house: House) -> None:
    fired = f'max_over_time(idlewire_client_alerts_firing{{client="{PHONE}"}}[{RANGE}s])'
    assert house.prometheus.wait(fired, lambda firing: firing > 0)
    problems = []
    for where, panel, target in targets():
        expression = filled_in(target["expr"])
        assert "$" not in expression.replace('"$1"', ""), where
        rows = house.prometheus.series(expression, seconds=0 if target["instant"] else RANGE)
        if not rows and not absent(house, expression):
            problems.append(f"{where}: no data: {expression}")
        lacking_labels = {
            label for row in rows for label in labels_needed(panel, target) if not row["metric"].get(label)
        }
        if lacking_labels:
            problems.append(f"{where}: no label {lacking_labels}")
    assert problems == []


def test_every_variable_has_values(house: House) -> None:
    board = json.loads((ROOT / "deploy" / "grafana" / "dashboards" / "client.json").read_text())
    queries = {each["name"]: each for each in board["templating"]["list"] if each["type"] == "query"}
    for name in ("job", "instance"):
        inside = re.fullmatch(rf"label_values\((.+), {name}\)", queries[name]["query"]["query"])
        assert inside is not None
        assert {row["metric"][name] for row in house.prometheus.series(filled_in(inside[1]))} != set()
    # As Grafana writes each series down, and then takes text and value out of it.
    inside = re.fullmatch(r"query_result\((.+)\)", queries["client"]["query"]["query"])
    assert inside is not None
    found = {}
    for row in house.prometheus.series(filled_in(inside[1])):
        labels = {name: value for name, value in row["metric"].items() if name != "__name__"}
        written = "idlewire_client_info{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "} 1 0"
        groups = [match.groupdict() for match in re.finditer(python_regex(queries["client"]["regex"]), written)]
        value = next(group["value"] for group in groups if group["value"])
        found[value] = next((group["text"] for group in groups if group["text"]), value)
    assert found[PHONE] == "Redmi Note"
    assert found[TABLET] == TABLET


def python_regex(written: str) -> str:
    """/.../g of JavaScript."""
    return written.removeprefix("/").removesuffix("/g").replace("(?<", "(?P<")


def test_what_may_be_empty_is_known_to_the_sensor(house: House) -> None:
    text = house.sensor.request("/metrics")[2].decode()
    for name in EMPTY:
        assert f"# TYPE {name} " in text


def test_the_readme_names_all_that_the_daemon_tells(house: House) -> None:
    text = house.sensor.request("/metrics")[2].decode()
    told = set(re.findall(r"^# TYPE (idlewire_\w+) ", text, re.MULTILINE))
    named = set(re.findall(r"^\| `(idlewire_\w+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert told - named == set()
    assert subprocess.run(["promtool", "check", "metrics"], input=text, text=True, check=False).returncode == 0


def test_every_rule_works_and_finds_its_metrics(house: House) -> None:
    def rules() -> list[dict[str, Any]]:
        groups = house.prometheus.get("/api/v1/rules")["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    assert until(lambda: all(rule["health"] == "ok" for rule in rules()), 10), rules()
    problems = []
    for rule in rules():
        if rule["type"] == "recording" and not house.prometheus.series(rule["name"]):
            problems.append(f"{rule['name']}: no data")
        for selector in re.findall(r"(?:[\w:]*idlewire_[\w:]+|process_start\w+|\bup\b)(?:{[^}]*})?", rule["query"]):
            if not house.prometheus.series(selector) and not absent(house, selector):
                problems.append(f"{rule['name']}: {selector} has no series")
    assert problems == []


def test_alertmanager_hears_of_it_from_the_sensor_and_from_prometheus_until_it_is_over(house: House) -> None:
    upload(house.lab.c1, house.lab.new_address(), FOR + 2)
    told = until(lambda: house.alertmanager.active("background_upload"), 20)
    seen = until(lambda: house.alertmanager.active("IdlewireAlertsFiring"), 20)
    assert {alert["labels"]["client"] for alert in told} == {PHONE}
    assert "while its screen was off" in told[0]["annotations"]["summary"]
    [rule] = seen
    assert (rule["labels"]["detector"], rule["labels"]["severity"]) == ("background_upload", "warning")
    assert rule["annotations"]["summary"].endswith("of background_upload (warning)")
    assert until(lambda: not house.alertmanager.active("background_upload"), 40)
    assert until(lambda: not house.alertmanager.active("IdlewireAlertsFiring"), 40)


def test_the_only_contact_with_a_country_shows_in_full(house: House) -> None:
    [expression] = [
        filled_in(target["expr"])
        for where, _, target in targets()
        if where == "client: Sent in background, by country A"
    ]
    assert push(house.lab, house.lab.c1, {"event": "locked"}, token=TOKENS["c1"]) == 200
    transfer(house.lab.c1, house.lab.new_address(block="77.88.55"), up=3_000)
    series = f'idlewire_client_background_sent_bytes_total{{client="{PHONE}",country="RU"}}'
    assert until(lambda: house.sensor.metrics().get(series, 0) > 3_000, 10), house.sensor.metrics()
    sent = house.sensor.metrics()[series]

    def shown() -> list[float]:
        rows = house.prometheus.series(expression)
        return [float(row["value"][1]) for row in rows if row["metric"]["country"] == "RU"]

    assert until(lambda: shown() == pytest.approx([sent], rel=0.02), 10), (shown(), sent)
