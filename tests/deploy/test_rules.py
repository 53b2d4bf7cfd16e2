"""The rules for Prometheus: it takes them, each has its tests, and each says where to read on."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deliver.conftest import World
from tests.deliver.test_metrics import everything

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
RULES = [
    rule for group in yaml.safe_load((FOLDER / "idlewire.rules.yml").read_text())["groups"] for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
COMING = {"idlewire_config_last_reload_successful"}
"""Not among what `everything` has."""

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs promtool (Debian package prometheus)"
)


@needs_promtool
@pytest.mark.parametrize(
    "words",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "idlewire.rules.yml"),
        ("test", "rules", "idlewire.rules.test.yml"),
        ("test", "rules", "idlewire.daily.test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_is_content(words: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *words], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def written() -> tuple[list[dict[str, Any]], str]:
    """All alert tests, and the text of all tests."""
    texts = [path.read_text() for path in sorted(FOLDER.glob("*.test.yml"))]
    cases = [
        case for text in texts for test in yaml.safe_load(text)["tests"] for case in test.get("alert_rule_test", ())
    ]
    return cases, "\n".join(texts)


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_is_seen_to_fire(name: str) -> None:
    assert any(case["exp_alerts"] for case in written()[0] if case["alertname"] == name)


@pytest.mark.parametrize("name", [rule["record"] for rule in RULES if "record" in rule])
def test_every_recording_is_computed_once(name: str) -> None:
    assert name in written()[1]


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_says_what_why_and_where_to_read_on(name: str) -> None:
    rule = ALERTS[name]
    notes = rule["annotations"]
    assert notes["summary"]
    assert notes["description"]
    assert notes["runbook"] == f"README.md#{name.lower()}"
    assert f'<a id="{name.lower()}"></a>' in (ROOT / "README.md").read_text()
    severity = rule.get("labels", {}).get("severity")
    assert severity in ("info", "warning", "critical") or "severity" in rule["expr"]


def test_the_readme_names_no_alert_that_is_gone() -> None:
    anchors = re.findall(r'<a id="(idlewire\w+)"></a>', (ROOT / "README.md").read_text())
    assert sorted(anchors) == sorted(name.lower() for name in ALERTS)


def test_rules_ask_for_metrics_that_are_there() -> None:
    known = {family.sample_name for family in everything(World()).collect()}
    asked = {name for rule in RULES for name in re.findall(r"(?<![\w:])idlewire_\w+(?![\w:])", rule["expr"])}
    assert asked - known - COMING == set()
