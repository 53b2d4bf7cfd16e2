"""Every scenario through the whole house, in batches of two sizes; and what the suite itself promises."""

import json
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from struct import pack
from typing import Any

import pytest

from sensor.base.times import SECOND
from sensor.errors import ConfigError
from tests.scenarios.__main__ import HERE, files
from tests.scenarios.form import Family, Scenario, load, parse
from tests.scenarios.judge import Verdict, judge, table
from tests.scenarios.play import Play
from tests.scenarios.stage import Outcome, run, settings

ALERTS, SILENT, QUIET = files([HERE / "alerts"]), files([HERE / "silent"]), files([HERE / "quiet"])
RUNS = [
    pytest.param(path, family, id=f"{path.parent.name}/{path.stem}/{family}")
    for path in (*ALERTS, *SILENT)
    for family in load(path).families
]
SMALL = 61
"""Frames in a batch of the second run."""

REPLAYED = ("photos-at-night", "twelve-at-once", "with-heartbeats", "back-after-absence", "reports-out-of-order")
"""Scenarios that also go through the command."""

VERDICTS: dict[str, Verdict] = {}


@cache
def scenario(path: Path) -> Scenario:
    return load(path)


def told(path: Path, family: Family, folder: Path, **how: Any) -> Outcome:
    return run(scenario(path), family, path.stem, folder, **how)


@pytest.mark.parametrize(("path", "family"), RUNS)
def test_scenario(path: Path, family: Family, tmp_path: Path) -> None:
    outcome = told(path, family, tmp_path)
    verdict = judge(f"{path.stem}/{family}", scenario(path), outcome)
    VERDICTS[verdict.name] = verdict
    assert verdict.problems == []
    assert told(path, family, tmp_path, batch=SMALL).text() == outcome.text()
    attackers = {each.client for each in scenario(path).traffic if each.attack}
    if attackers:
        macs = frozenset(
            who.mac.hex(":") for who in Play(scenario(path), family, "").clients.values() if who.name in attackers
        )
        alone = told(path, family, tmp_path, attacks=False)
        assert outcome.text(macs) == alone.text(macs) != b""


@pytest.mark.parametrize("path", QUIET, ids=lambda path: path.stem)
def test_a_quiet_week(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for family in scenario(path).families:
        verdict = judge(f"{path.stem}/{family}", scenario(path), told(path, family, tmp_path))
        with capsys.disabled():
            print(f"\n{verdict.name}: {len(verdict.tolerated)} alerts above info in 7 days of 10 clients")
        assert verdict.problems == []


def test_recall_and_precision(capsys: pytest.CaptureFixture[str]) -> None:
    """A table for the reader; that all is right is each scenario's own test."""
    if VERDICTS:
        with capsys.disabled():
            print("\n" + table(list(VERDICTS.values())))


def test_half_must_alert_and_half_must_not() -> None:
    assert len(ALERTS) + len(SILENT) >= 50
    assert min(len(ALERTS), len(SILENT)) >= 20
    assert all(not scenario(path).expect.silent for path in ALERTS)
    assert all(scenario(path).expect.silent for path in (*SILENT, *QUIET))
    both = [path for path in (*ALERTS, *SILENT) if scenario(path).families == ("4", "6")]
    assert len(both) > 0.9 * (len(ALERTS) + len(SILENT))


def readme() -> dict[str, Any]:
    text = (HERE / "README.md").read_text()
    return tomllib.loads(text.split("```toml\n")[1].split("```")[0])


def test_the_example_of_the_readme_comes_true(tmp_path: Path) -> None:
    example = parse(readme())
    for family in example.families:
        assert judge("example", example, run(example, family, "example", tmp_path)).problems == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tittle": "x"}, "tittle: unknown key; did you mean 'title'?"),
        ({"traffic": [{"client": "phone", "kind": "upload", "plaze": "cloud"}]}, "did you mean 'traffic[0].place'?"),
        ({"traffic": [{"client": "phone", "kind": "upload", "place": "clod"}]}, 'did you mean "cloud"?'),
        ({"traffic": [{"client": "phon", "kind": "upload", "place": "cloud"}]}, 'did you mean "phone"?'),
        ({"traffic": [{"client": "phone", "kind": "uplod", "place": "cloud"}]}, "expected one of"),
        ({"foreground": [{"client": "phone", "events": ["1m screen_of"]}]}, "did you mean screen_off?"),
        ({"foreground": [{"client": "phone", "events": ["soon screen_off"]}]}, "expected a duration"),
        ({"expect": {}}, "silent = true"),
        ({"expect": {"silent": True, "alert": [{"detector": "x", "client": "phone"}]}}, "silent = true"),
        ({"traffic": [{"client": "phone", "kind": "upload", "place": "cloud", "times": 2}]}, "every: missing"),
    ],
)
def test_mistakes_are_named(change: dict[str, Any], said: str) -> None:
    values = {
        "title": "x",
        "client": [{"name": "phone"}],
        "place": [{"name": "cloud"}],
        "expect": {"silent": True},
    }
    with pytest.raises(ConfigError) as caught:
        parse(values | change)
    assert said in str(caught.value)


def test_an_unknown_setting_is_an_error(tmp_path: Path) -> None:
    made = parse({"title": "x", "expect": {"silent": True}, "config": {"foreground": {"gracee": "1m"}}})
    with pytest.raises(ConfigError, match=r"did you mean 'foreground\.grace'"):
        run(made, "4", "x", tmp_path)


@pytest.mark.parametrize("name", REPLAYED)
def test_the_command_says_the_same(name: str, tmp_path: Path) -> None:
    [path] = [path for path in (*ALERTS, *SILENT) if path.stem == name]
    for family in scenario(path).families:
        play = Play(scenario(path), family, path.stem)
        expected = told(path, family, tmp_path).last
        write(play, tmp_path)
        done = subprocess.run(
            [sys.executable, "-m", "sensor", "replay", "--json", "--config", tmp_path / "idlewire.toml",
             "--foreground", tmp_path / "states.jsonl", tmp_path / "frames.pcap"],
            capture_output=True, check=False, cwd=HERE.parents[1],
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        assert json.loads(done.stdout)["alerts"] == expected


def write(play: Play, folder: Path) -> None:
    """The scenario as files: a configuration, a capture, the phone's states."""
    (folder / "idlewire.toml").write_text(toml(settings(play, folder)))
    (folder / "states.jsonl").write_text("".join(line + "\n" for _, line in play.reports()))
    with (folder / "frames.pcap").open("wb") as file:
        file.write(pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1))
        for time, frame in play.frames():
            file.write(pack("<IIII", *divmod(time, SECOND), len(frame), len(frame)) + frame)


def toml(values: dict[str, Any]) -> str:
    """Inline tables are enough for a machine."""
    return "".join(f"{json.dumps(key)} = {inline(value)}\n" for key, value in values.items())


def inline(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {inline(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(inline, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
