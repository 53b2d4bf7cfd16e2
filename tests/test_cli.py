"""The command: what it prints where, and what it exits with."""

import gc
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sensor import __version__, cli
from sensor.capture import privileges
from sensor.config import DEFAULT_PATH, Config
from sensor.enrich.mmdb import ATTRIBUTION
from sensor.errors import ConfigError
from tests.frames import (
    FAR,
    FAR_TOO,
    HOME,
    HOME_TOO,
    PHONE,
    ROUTER,
    SECOND,
    START,
    TABLET,
    Timed,
    answer,
    pcap,
    tcp,
    udp,
)

ROOT = Path(__file__).resolve().parents[1]
PHONE_ID = PHONE.hex(":")
FRAMES: list[Timed] = [
    (0, answer("api.io.mi.com", FAR)),
    (SECOND, tcp(HOME, FAR, bytes(60))),
    (2 * SECOND, tcp(FAR, HOME, bytes(160), ports=(443, 40_000), macs=(ROUTER, PHONE))),
    (3 * SECOND, udp(HOME_TOO, FAR_TOO, macs=(TABLET, ROUTER))),
]


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """The command tunes the garbage collector for a process of its own."""
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()
    gc.enable()


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    return pcap(tmp_path / "phone.pcap", FRAMES)


class Ran:
    """What a command printed and returned."""

    def __init__(self, code: object, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    def one_line(self) -> str:
        """The error: one line, and nothing on standard output."""
        assert self.out == ""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


@pytest.fixture
def idlewire(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command within this process."""

    def run(*arguments: object) -> Ran:
        code: object
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return run


def process(*arguments: object, **more: Any) -> subprocess.CompletedProcess[str]:
    """Runs the command in a process of its own."""
    command = [sys.executable, "-m", "sensor", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60, **more)


def test_version_says_whose_data_it_uses(idlewire: Any) -> None:
    ran = idlewire("--version")
    assert (ran.code, ran.err) == (0, "")
    # argparse fills the text into lines; the words are what the licence wants.
    assert " ".join(ran.out.split()) == f"idlewire {__version__} {ATTRIBUTION}"


@pytest.mark.parametrize(
    ("command", "example"),
    [
        ([], "idlewire replay phone.pcapng"),
        (["run"], "sudo idlewire run --interface br0"),
        (["replay"], "idlewire replay --local 2001:db8:1::/64 upstream.pcap"),
        (["backtest"], "idlewire backtest --config new.toml --json week.pcapng > found.json"),
        (["check-config"], "idlewire check-config lab.toml"),
        (["idle"], 'idlewire idle "Redmi Note" --until 15:00'),
        (["notify-test"], "idlewire notify-test family"),
        (["selftest"], "sudo idlewire selftest --config lab.toml --sink family --sink lab"),
    ],
)
def test_help_has_examples(idlewire: Any, command: list[str], example: str) -> None:
    ran = idlewire(*command, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert "examples:" in ran.out
    assert any(example in line for line in ran.out.splitlines())


def test_examples_of_the_help_are_understood() -> None:
    texts = (cli.EXAMPLES, cli.RUN_EXAMPLES, cli.REPLAY_EXAMPLES, cli.BACKTEST_EXAMPLES, cli.CHECK_EXAMPLES)
    for text in (*texts, cli.IDLE_EXAMPLES, cli.NOTIFY_EXAMPLES, cli.SELFTEST_EXAMPLES):
        found = re.findall(r"idlewire ((?:run|replay|backtest|check-config|idle|notify-test|selftest)\b[^>\n|]*)", text)
        assert found
        for arguments in found:
            cli._parser().parse_args(shlex.split(arguments))


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["sniff"],
        ["replay"],
        ["replay", "--jsn", "a.pcap"],
        ["replay", "--js", "a.pcap"],
        ["run", "--interface"],
        ["--verbose"],
        ["idle"],
        ["idle", "phone"],
        ["idle", "--over"],
        ["idle", "phone", "--for", "2h", "--until", "15:00"],
    ],
)
def test_wrong_usage_exits_with_2(idlewire: Any, arguments: list[str]) -> None:
    ran = idlewire(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("usage: idlewire")


@pytest.mark.parametrize("prefix", ["nonsense", "10.0.0.1/8", "10.0.0.0/33"])
def test_a_prefix_that_is_none(idlewire: Any, capture: Path, prefix: str) -> None:
    ran = idlewire("replay", "--local", prefix, capture)
    assert ran.code == 2
    assert prefix in ran.err.splitlines()[-1]


def test_a_missing_file(idlewire: Any, tmp_path: Path) -> None:
    ran = idlewire("replay", tmp_path / "none.pcap")
    assert ran.code == 1
    assert "none.pcap" in ran.one_line()


@pytest.mark.parametrize("content", [b"", b"hello, I am only text, and rather long for a header", bytes(1000)])
def test_a_file_that_is_no_capture(idlewire: Any, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.pcap"
    path.write_bytes(content)
    ran = idlewire("replay", path)
    assert ran.code == 1
    assert "odd.pcap" in ran.one_line()


def test_a_folder_is_no_capture(idlewire: Any, tmp_path: Path) -> None:
    ran = idlewire("replay", tmp_path)
    assert ran.code == 1
    assert str(tmp_path) in ran.one_line()


@pytest.mark.parametrize("json_too", [False, True])
def test_a_capture_that_is_cut_gives_a_warning_and_what_came_before(
    idlewire: Any, capture: Path, json_too: bool
) -> None:
    capture.write_bytes(capture.read_bytes()[:-3])
    ran = idlewire("replay", capture, *(["--json"] if json_too else []))
    assert ran.code == 0
    [line] = ran.err.splitlines()
    assert line.startswith("warning: ")
    assert "phone.pcap" in line
    assert json.loads(ran.out)["capture"]["frames"] == 3 if json_too else FAR in ran.out


def test_json_is_one_object_and_nothing_else(idlewire: Any, capture: Path) -> None:
    ran = idlewire("replay", "--json", capture)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.isascii()
    assert ran.out.count("\n") == 1
    found = json.loads(ran.out)
    assert found["capture"]["files"] == [str(capture)]
    phone = next(client for client in found["clients"] if client["mac"] == PHONE_ID)
    [destination] = phone["destinations"]
    assert (destination["address"], destination["names"]) == (FAR, [{"name": "api.io.mi.com", "source": "dns"}])
    assert (destination["sent_bytes"], destination["received_bytes"]) == (100, 200)


UPLOAD: list[Timed] = [
    (at * SECOND, tcp(HOME, FAR, bytes(1400), sequence=(at * 10 + part) * 1400))
    for at in range(90, 240)
    for part in range(10)
]
"""150 s of 14 KB each, a minute and a half after the beginning."""


def states(path: Path, *events: tuple[float, str]) -> Path:
    """A file of phone states, (seconds after the beginning, event)."""
    lines = [
        json.dumps({"time": START / SECOND + at, "client": PHONE_ID, "source": "push", "event": event, "app": None})
        for at, event in events
    ]
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize(("event", "alerts"), [("screen_off", 1), ("screen_on", 0), ("heartbeat", 0)])
def test_an_upload_alerts_only_while_nobody_uses_the_phone(
    idlewire: Any, tmp_path: Path, event: str, alerts: int
) -> None:
    capture, file = pcap(tmp_path / "upload.pcap", UPLOAD), states(tmp_path / "states.jsonl", (0, event))
    ran = idlewire("replay", "--json", "--foreground", file, capture)
    assert (ran.code, ran.err) == (0, "")
    found = json.loads(ran.out)["alerts"]
    assert [alert["detector"] for alert in found] == ["background_upload"] * alerts
    if found:
        assert found[0]["evidence"]["foreground"]["state"] == "background"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"client": "02:00:00:00:00:99"}, "none of its clients is in the capture (02:00:00:00:00:99)"),
        ({"time": 1_000_000_000.0}, "all its reports are too old for the capture"),
        ({"time": 1_900_000_000.0}, "all its reports come after the capture"),
        (None, "no reports in it"),
    ],
)
def test_states_that_do_not_fit_the_capture_are_told(
    idlewire: Any, tmp_path: Path, change: dict[str, Any] | None, said: str
) -> None:
    file = tmp_path / "states.jsonl"
    line = {"time": START / SECOND, "client": PHONE_ID, "source": "push", "event": "screen_off", **(change or {})}
    file.write_text("" if change is None else json.dumps(line))
    ran = idlewire("replay", "--json", "--foreground", file, pcap(tmp_path / "upload.pcap", UPLOAD))
    assert ran.code == 0
    assert ran.err == f"warning: {file}: {said}\n"


def test_backtest_says_what_rules_would_have_raised(idlewire: Any, tmp_path: Path) -> None:
    capture, file = pcap(tmp_path / "upload.pcap", UPLOAD), states(tmp_path / "states.jsonl", (0, "screen_off"))
    strict, lax = tmp_path / "strict.toml", tmp_path / "lax.toml"
    strict.write_text('[detect.background_upload]\nmin_bytes = "200KB"\n')
    lax.write_text('[detect.background_upload]\nmin_bytes = "200MB"\n')
    ran = idlewire("backtest", "--config", strict, "--foreground", file, capture)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("These rules would have raised 1 alert.\n  2023-11-14  ")
    ran = idlewire("backtest", "--config", lax, "--foreground", file, capture)
    assert ran.out.startswith("These rules would have raised 0 alerts.")
    found = json.loads(idlewire("backtest", "--json", "--config", strict, "--foreground", file, capture).out)
    assert found["days"] == [
        {"day": "2023-11-14", "client": PHONE_ID, "detector": "background_upload", "severity": "warning", "alerts": 1}
    ]
    assert [alert["detector"] for alert in found["alerts"]] == ["background_upload"]


def test_backtest_without_states_says_that_it_was_blind(idlewire: Any, tmp_path: Path) -> None:
    empty = tmp_path / "empty.toml"
    empty.touch()
    ran = idlewire("backtest", "--config", empty, pcap(tmp_path / "upload.pcap", UPLOAD))
    assert "would have raised 0 alerts" in ran.out
    assert "blind" in ran.out


def test_the_table_is_to_be_read(idlewire: Any, capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    ran = idlewire("replay", capture)
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0] == "No alerts."
    assert any(line.startswith("4 frames in ") for line in lines)
    [row] = [line for line in lines if FAR in line]
    assert "api.io.mi.com (dns)" in row
    assert max(len(line) for line in lines if not line.startswith("4 frames")) <= 120
    assert lines[-1] == ATTRIBUTION


def test_several_files_are_read_in_order_of_time(idlewire: Any, tmp_path: Path) -> None:
    late, early = pcap(tmp_path / "a.pcap", FRAMES[2:]), pcap(tmp_path / "b.pcap", FRAMES[:2])
    whole = pcap(tmp_path / "whole.pcap", FRAMES)
    two = json.loads(idlewire("replay", "--json", late, early).out)
    one = json.loads(idlewire("replay", "--json", whole).out)
    assert two["capture"].pop("files") == [str(late), str(early)]
    assert one["capture"].pop("files") == [str(whole)]
    assert two == one


def test_one_bad_file_among_several(idlewire: Any, capture: Path, tmp_path: Path) -> None:
    ran = idlewire("replay", capture, tmp_path / "none.pcap")
    assert ran.code == 1
    assert "none.pcap" in ran.one_line()


def test_further_prefixes_are_local(idlewire: Any, capture: Path) -> None:
    ran = idlewire("replay", "--json", "--local", "42.62.0.0/16", "--local", "5.6.7.0/24", capture)
    assert [client["destinations"] for client in json.loads(ran.out)["clients"]] == [[]] * 3


def test_settings_for_a_replay(idlewire: Any, capture: Path, tmp_path: Path) -> None:
    config = tmp_path / "lab.toml"
    config.write_text('[[watch]]\nname = "mi"\ndomains = ["mi.com"]\nclients = ["Redmi"]\n')
    config.write_text(config.read_text() + f'[[client]]\nmac = "{PHONE_ID}"\nname = "Redmi"\n')
    found = json.loads(idlewire("replay", "--json", "--config", config, capture).out)
    assert [(alert["reason"]["rule"], alert["client"]["name"]) for alert in found["alerts"]] == [("mi", "Redmi")]
    table = idlewire("replay", "--config", config, capture).out
    assert table.startswith("1 alert:\n")
    assert '"mi"' in table.splitlines()[1]


def test_a_replay_does_not_read_the_settings_of_the_daemon(
    idlewire: Any, capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "idlewire.toml"
    there.write_text("nonsense = true\n")
    monkeypatch.setattr("sensor.config.DEFAULT_PATH", there)
    assert idlewire("replay", capture).code == 0


@pytest.mark.parametrize("command", [["replay", "--config"], ["run", "--config"], ["check-config"]])
def test_bad_settings_name_their_keys(idlewire: Any, capture: Path, tmp_path: Path, command: list[str]) -> None:
    config = tmp_path / "lab.toml"
    config.write_text('[web]\nlisten = "nowhere"\n[capture]\nbuffer = 5\n')
    ran = idlewire(*command, config, *([capture] if command[0] == "replay" else []))
    assert (ran.code, ran.out) == (1, "")
    lines = ran.err.splitlines()
    assert len(lines) == 2
    assert any("web.listen" in line for line in lines)
    assert any("capture.buffer" in line for line in lines)


@pytest.mark.parametrize("text", [None, "[web\n", "\0", "name = 'ü'\n"])
def test_settings_that_cannot_be_read(idlewire: Any, tmp_path: Path, text: str | None) -> None:
    config = tmp_path / "lab.toml"
    if text is not None:
        config.write_bytes(text.encode("latin-1"))
    ran = idlewire("check-config", config)
    assert ran.code == 1
    assert "lab.toml" in ran.one_line()


def test_settings_that_are_fine(idlewire: Any) -> None:
    example = ROOT / "config" / "idlewire.toml"
    ran = idlewire("check-config", example)
    assert (ran.code, ran.out, ran.err) == (0, f"{example}: fine\n", "")


def test_without_a_settings_file_all_defaults_hold(
    idlewire: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert str(DEFAULT_PATH) == "/etc/idlewire/idlewire.toml"
    monkeypatch.setattr("sensor.config.DEFAULT_PATH", tmp_path / "none.toml")
    ran = idlewire("check-config")
    assert (ran.code, ran.err) == (0, "")
    assert "all defaults hold" in ran.out


def test_run_without_the_capability(idlewire: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privileges, "_capabilities", lambda: SimpleNamespace(effective0=0))
    config = tmp_path / "lab.toml"
    config.write_text(f'state_dir = "{tmp_path}"\n')
    ran = idlewire("run", "--config", config, "--interface", "lo")
    assert ran.code == 1
    assert "CAP_NET_RAW" in ran.one_line()


def test_run_takes_the_interface_from_the_command_line(idlewire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Config] = []
    monkeypatch.setattr("sensor.app.run_daemon", lambda config, reread: started.append(config))
    monkeypatch.setattr("sensor.config.DEFAULT_PATH", Path("/nonexistent/idlewire.toml"))
    assert idlewire("run", "--interface", "br-lan").code == 0
    assert idlewire("run").code == 0
    assert [config.interface for config in started] == ["br-lan", "auto"]


@pytest.mark.parametrize("name", ["", "an interface", "a/b", "far-too-long-a-name"])
def test_an_interface_that_can_have_no_such_name(idlewire: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("sensor.app.run_daemon", None)
    monkeypatch.setattr("sensor.config.DEFAULT_PATH", Path("/nonexistent/idlewire.toml"))
    ran = idlewire("run", "--interface", name)
    assert ran.code == 1
    assert ran.one_line().startswith("--interface: ")


def test_several_errors_are_several_lines(idlewire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(path: Path | None) -> Config:
        raise ConfigError("web.listen: no", "name: no")

    monkeypatch.setattr("sensor.config.load", fails)
    ran = idlewire("run")
    assert (ran.code, ran.err) == (1, "web.listen: no\nname: no\n")


def test_an_interrupt_is_no_error_of_ours(idlewire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sensor.replay.replay", interrupted)
    ran = idlewire("replay", "a.pcap")
    assert (ran.code, ran.out, ran.err) == (130, "", "")


def test_in_a_process_of_its_own(capture: Path) -> None:
    ran = process("replay", "--json", capture)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads(ran.stdout)["capture"]["frames"] == 4
    failed = process("replay", capture.with_name("none.pcap"))
    assert (failed.returncode, failed.stdout, len(failed.stderr.splitlines())) == (1, "", 1)


def test_a_capture_from_standard_input(capture: Path) -> None:
    with capture.open("rb") as file:
        ran = process("replay", "--json", "-", stdin=file)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads(ran.stdout)["capture"]["frames"] == 4


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_a_reader_that_has_seen_enough(tmp_path: Path, arguments: list[str]) -> None:
    frames = [(at, udp(HOME, f"5.6.{at >> 8}.{at & 255}")) for at in range(3000)]
    path = pcap(tmp_path / "many.pcap", frames)
    command = [sys.executable, "-m", "sensor", "replay", *arguments, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        assert started.stdout is not None
        assert started.stderr is not None
        started.stdout.close()
        assert started.stderr.read() == b""
        assert started.wait(60) == 0


class Terminal:
    """Standard error that is one."""

    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


def test_progress_through_much_is_drawn_now_and_then_and_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    progress, terminal = cli.Progress(), Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    for done in range(0, 100_000_001, 1_000_000):
        progress(done, 100_000_000)
    assert terminal.text.startswith("\r[" + "." * 40 + "]   0 %")
    assert terminal.text.count("%") < 5
    progress.clear()
    assert terminal.text.endswith("\r\033[K")


@pytest.mark.parametrize("total", [None, 0, 1000])
def test_no_bar_for_little_or_for_a_pipe(monkeypatch: pytest.MonkeyPatch, total: int | None) -> None:
    progress, terminal = cli.Progress(), Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress(500, total)
    progress.clear()
    assert terminal.text == ""


def test_no_bar_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    progress = cli.Progress()
    progress(0, 100_000_000)
    progress.clear()
    assert capsys.readouterr().err == ""


def test_the_log_goes_to_standard_error() -> None:
    code = "from sensor import cli; import logging; cli.main(['check-config', 'none'])\nlogging.warning('seen')"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.stdout == ""
    assert ran.stderr.splitlines()[-1] == "W root: seen"


def settings_file(folder: Path, manual: str) -> Path:
    path = folder / "idlewire.toml"
    path.write_text(f'[web]\nlisten = "127.0.0.1:1"\n{manual}')
    return path


@pytest.mark.parametrize(
    ("manual", "arguments", "says"),
    [
        ("", ["--for", "2h"], "foreground.manual.token_file: not set"),
        ('[foreground.manual]\ntoken = "a-token-of-the-owner"\n', ["--for", "2h"], "no sensor answers on 127.0.0.1:1"),
        ('[foreground.manual]\ntoken = "a-token-of-the-owner"\n', ["--until", "3 pm"], "--until: expected a time"),
        ('[foreground.manual]\ntoken_file = "/nowhere"\n', ["--over"], "foreground.manual.token_file: /nowhere: "),
    ],
)
def test_idle_says_in_one_line_what_is_wrong(
    idlewire: Any, tmp_path: Path, manual: str, arguments: list[str], says: str
) -> None:
    ran = idlewire("idle", "phone", *arguments, "--config", settings_file(tmp_path, manual))
    assert ran.code == 1
    assert ran.one_line().startswith(says)
    assert "a-token-of-the-owner" not in ran.err


def test_idle_hands_everything_on(idlewire: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[dict[str, str]] = []

    def state(settings: Config, statement: dict[str, str], now: int) -> str:
        said.append(statement)
        return "phone: counts as not in use until 15:00"

    monkeypatch.setattr("sensor.idle.state", state)
    path = settings_file(tmp_path, "")
    ran = idlewire("idle", "phone", "--for", "2h", "--note", "in the drawer", "--config", path)
    assert (ran.code, ran.out, ran.err) == (0, "phone: counts as not in use until 15:00\n", "")
    idlewire("idle", "phone", "--until", "2026-11-24T15:00Z", "--config", path)
    idlewire("idle", "phone", "--over", "--config", path)
    assert said == [
        {"client": "phone", "state": "background", "for": "2h", "note": "in the drawer"},
        {"client": "phone", "state": "background", "until": "2026-11-24T15:00:00+00:00"},
        {"client": "phone", "state": "none"},
    ]


@pytest.mark.parametrize("command", ["replay", "backtest"])
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"time": 1, "client": "tv", "event": "locked"}', "line 3: client: expected a MAC like 60:38:e0:c5:35:a0"),
        (b'{"time": NaN}', "line 3: not JSON: NaN is no number"),
        (b"[" * 3000, "line 3: not JSON: "),
        (b"\xff", "line 3: not UTF-8 text"),
        (b"x" * 10**7, "line 3: longer than 4096 bytes"),
        (b'{"\x1b[2J": 1}', "line 3: not JSON: Invalid control character"),
        (None, "No such file or directory"),
    ],
)
def test_a_bad_file_of_states_is_one_line_that_names_its_line(
    idlewire: Any, capture: Path, tmp_path: Path, command: str, content: bytes | None, problem: str
) -> None:
    file, config = states(tmp_path / "states.jsonl", (0, "screen_off"), (1, "screen_on")), tmp_path / "empty.toml"
    config.touch()
    if content is None:
        file.unlink()
    else:
        file.write_bytes(file.read_bytes() + b"\n" + content)
    ran = idlewire(command, "--json", "--config", config, "--foreground", file, capture)
    assert ran.code == 1
    assert ran.one_line().startswith(f"{file}: {problem}")
