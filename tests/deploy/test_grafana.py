"""The dashboards: generated is committed, Grafana's own rules hold, nothing overlaps, links lead somewhere."""

import copy
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.__main__ import FOLDER, texts
from tests.deploy.linter import complaints, expression_complaints

ROOT = Path(__file__).resolve().parents[2]
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
Json = dict[str, Any]


def test_what_is_committed_is_what_would_be_written() -> None:
    assert {path.name: path.read_text() for path in FOLDER.iterdir()} == {
        path.name: text for path, text in texts().items()
    }, "run `make dashboards`"


def test_a_file_that_was_edited_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from deploy.grafana import __main__ as program

    monkeypatch.setattr(program, "FOLDER", tmp_path)
    assert program.main([]) == 0
    assert program.main(["--check"]) == 0
    (tmp_path / "client.json").write_text("{}")
    assert program.main(["--check"]) == 1


def test_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.grafana", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", BOARDS)
def test_grafanas_linter_has_nothing_to_say(name: str) -> None:
    assert complaints(BOARDS[name]) == []


def test_what_the_linter_finds() -> None:
    board = copy.deepcopy(BOARDS["overview"])
    board["editable"] = True
    board["templating"]["list"][1]["multi"] = False
    board["templating"]["list"][2]["refresh"] = 1
    panel = next(each for each in board["panels"] if each["type"] == "stat")
    panel["description"], panel["fieldConfig"]["defaults"]["unit"] = "", "bites"
    panel["targets"][0]["expr"] = 'rate(idlewire_packets_total{job=~"$job"}[5m]) + up'
    found = {re.search(r"[\w-]+-rule", line)[0] for line in complaints(board)}  # type: ignore[index]
    assert found == {
        "template-uneditable-rule", "template-job-rule", "template-on-time-change-reload-rule",
        "panel-title-description-rule", "panel-units-rule", "target-job-rule", "target-instance-rule",
        "target-rate-interval-rule",
    }  # fmt: skip


CHOSEN = '{job=~"$job", instance=~"$instance"}'


@pytest.mark.parametrize("expression", [f"a_total{CHOSEN}", f"max_over_time(a_total{CHOSEN}[$__range])"])
def test_a_counter_is_never_shown_as_it_is(expression: str) -> None:
    assert [line.split(":")[0] for line in expression_complaints(expression.replace("a_", "idlewire_a_"))] == [
        "target-counter-agg-rule"
    ]


@pytest.mark.parametrize("name", BOARDS)
def test_panels_fill_the_width_and_do_not_overlap(name: str) -> None:
    places = [panel["gridPos"] for panel in BOARDS[name]["panels"]]
    for place in places:
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
        assert place["h"] > 0
    for one, other in itertools.combinations(places, 2):
        apart_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_x or apart_y, (one, other)
    bottom = max(place["y"] + place["h"] for place in places)
    assert sum(place["w"] * place["h"] for place in places) == 24 * bottom, "a gap"


@pytest.mark.parametrize("name", BOARDS)
def test_it_can_be_loaded_by_grafana_10_to_13(name: str) -> None:
    board = BOARDS[name]
    assert "id" not in board, "Grafana gives it one"
    assert board["uid"].startswith("idlewire-")
    assert 36 <= board["schemaVersion"] <= 39, "of Grafana 9 and 10; later ones migrate it"
    assert not {"__inputs", "__requires"} & set(board)
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", BOARDS)
def test_no_data_source_of_ours_is_meant(name: str) -> None:
    uids = re.findall(r'"uid": "([^"]*)"', (FOLDER / f"{name}.json").read_text())
    assert set(uids) == {BOARDS[name]["uid"], "${datasource}"}


def test_links_between_dashboards_lead_somewhere() -> None:
    uids = {board["uid"] for board in BOARDS.values()}
    assert len(uids) == len(BOARDS) == 4
    for name, board in BOARDS.items():
        text = json.dumps(board)
        assert set(re.findall(r"/d/([\w-]+)", text)) <= uids
        assert board["tags"] == ["idlewire"]
        assert board["links"][0]["tags"] == ["idlewire"], name
        assert "The sensor's page" in text, name


def test_provisioning_files() -> None:
    [sources] = (ROOT / "deploy/grafana/provisioning/datasources").iterdir()
    [source] = yaml.safe_load(sources.read_text())["datasources"]
    assert (source["type"], source["access"]) == ("prometheus", "proxy")
    assert "uid" not in source
    [providers] = (ROOT / "deploy/grafana/provisioning/dashboards").iterdir()
    [provider] = yaml.safe_load(providers.read_text())["providers"]
    assert (provider["type"], provider["options"]["path"]) == ("file", "/var/lib/grafana/dashboards/idlewire")
