"""Phone states from a file."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.base.times import SECOND
from sensor.errors import DataError
from sensor.foreground import history
from sensor.foreground.history import MAX_LINE, Reporter, client_id, parse_report, read_reports
from sensor.model.foreground import Report
from tests.foreground.reports import PHONE, TABLET, report

CALLED = {"Redmi Note": PHONE}
AT = 1_790_000_000
GOOD: dict[str, Any] = {"time": AT, "client": PHONE, "source": "push", "event": "screen_off", "app": None}


def line(**other: Any) -> str:
    return json.dumps({**GOOD, **other})


def file(path: Path, *lines: str | bytes, end: bytes = b"\n") -> Path:
    made = path / "states.jsonl"
    made.write_bytes(end.join(each if isinstance(each, bytes) else each.encode() for each in lines))
    return made


def refusal(path: Path) -> str:
    """The error without the file's name."""
    with pytest.raises(DataError) as caught:
        read_reports(path, CALLED)
    [text] = str(caught.value).splitlines()
    assert text.startswith(f"{path}: ")
    return text.removeprefix(f"{path}: ")


def test_the_line_of_the_documentation() -> None:
    text = '{"time": 1790000000.0, "client": "60:38:e0:c5:35:a0", "source": "push", "event": "screen_off", "app": null}'
    assert parse_report(text, {}) == report("screen_off", AT)


def test_all_that_a_line_may_say() -> None:
    text = line(client="Redmi Note", event="app_opened", app="mail", received=AT + 2, sequence=7, interval=900)
    expected = report("app_opened", AT, received=AT + 2, app="mail", sequence=7, interval=900 * SECOND)
    assert parse_report(text, CALLED) == expected
    assert parse_report(line(interval=0), CALLED).interval is None
    assert parse_report(line(time=0.1234), CALLED).observed_at == 123_000_000, "to the millisecond"
    assert parse_report('{"time": 1, "client": "60-38-E0-C5-35-A0", "event": "locked"}', {}) == report("locked", 1)


def test_a_clock_that_is_far_off_is_not_believed() -> None:
    assert parse_report(line(received=AT + 600), CALLED).observed_at == (AT + 600) * SECOND
    assert parse_report(line(received=AT - 40), CALLED).observed_at == (AT - 40) * SECOND


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PHONE, PHONE), ("60-38-E0-C5-35-A0", PHONE), ("Redmi Note", PHONE), ("192.168.1.9", "192.168.1.9"),
        ("FD00::0009", "fd00::9"),
    ],
)  # fmt: skip
def test_whose_state_it_is(text: str, expected: str) -> None:
    assert client_id(text, CALLED) == expected


@pytest.mark.parametrize("text", ["", "nobody", "redmi note", "60:38:e0", "192.168.1.300", None, 5, [PHONE], {}])
def test_who_is_no_client(text: object) -> None:
    with pytest.raises(ValueError, match="client: expected a MAC"):
        client_id(text, CALLED)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("screen_off", "not JSON: Expecting value"),
        ('{"time": 1', "not JSON: "),
        (line() + line(), "not JSON: Extra data"),
        ("[" * 4000, "not JSON: "),
        ('{"a":' * 600 + "1" + "}" * 600, "unknown key "),
        ('{"a":' * 800, "not JSON: "),
        ("5", "expected an object such as {"),
        ("[]", "expected an object such as {"),
        ("null", "expected an object such as {"),
        ("{}", "time: missing; expected seconds since 1970"),
        (line(when=5), 'unknown key "when"; known: time, client, '),
        (json.dumps({**GOOD, "a\x1b[2J\n" * 20: 1}), 'unknown key "a\\u001b[2J\\u000a'),
        (f'{{"time": {AT}, "event": "locked", "client": "{PHONE}", "event": "unlocked"}}', 'key "event" comes twice'),
        (line(time=None), "time: missing"),
        (line(time="soon"), "time: expected seconds since 1970, as in 1790000000.0"),
        (line(time=True), "time: expected seconds"),
        (line(time=-1), "time: expected seconds"),
        (line(time=AT * 1000), "time: expected seconds"),
        (line(time=10**300), "time: expected seconds"),
        ('{"time": 1e999}', "time: expected seconds"),
        (line(time=float("nan")), "not JSON: NaN is no number"),
        (line(time=float("-inf")), "not JSON: -Infinity is no number"),
        (line(received="x"), "received: expected seconds since 1970"),
        (line(interval=-1), "interval: expected seconds from one report to the next"),
        (line(sequence=1.5), "sequence: expected a whole number"),
        (line(sequence=-1), "sequence: expected a whole number"),
        (line(sequence=2**63), "sequence: expected a whole number"),
        (line(sequence=True), "sequence: expected a whole number"),
        (line(event="opened"), "event: expected one of app_opened, app_closed, "),
        (line(event=["locked"]), "event: expected one of "),
        (line(event=None), "event: expected one of "),
        (line(client=None), "client: expected a MAC"),
        (line(source=5), "source: expected text"),
        (line(source=""), "source: "),
        (line(app=["mail"]), "app: expected text"),
        (line(app="\x00"), "app: "),
        (line(app="a" * 2000), "app: "),
    ],
)  # fmt: skip
def test_a_bad_line_is_one_error_that_names_it(tmp_path: Path, text: str, problem: str) -> None:
    found = refusal(file(tmp_path, line(), "", text, line()))
    assert found.startswith(f"line 3: {problem}")
    assert len(found) < 400
    assert found.isprintable()


def test_a_file_by_time_of_receipt(tmp_path: Path) -> None:
    lines = [line(time=AT + 5), "", "   ", line(time=AT), line(time=AT + 1, received=AT + 9), line(event="locked")]
    found = read_reports(file(tmp_path, *lines), CALLED)
    assert [each.received_at // SECOND - AT for each in found] == [0, 0, 5, 9]
    assert [each.event for each in found[:2]] == ["screen_off", "locked"], "else as they stand"


def test_an_empty_file(tmp_path: Path) -> None:
    assert read_reports(file(tmp_path), CALLED) == []


def test_files_of_other_systems(tmp_path: Path) -> None:
    lines = b"\xef\xbb\xbf" + line(app="Küche 厨房").encode(), line()
    for end in (b"\n", b"\r\n"):
        found = read_reports(file(tmp_path, *lines, b"", end=end), CALLED)
        assert [each.app for each in found] == ["Küche 厨房", None]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_how_long_a_line_may_be(tmp_path: Path, end: bytes) -> None:
    longest = line() + " " * (MAX_LINE - len(line()))
    assert len(read_reports(file(tmp_path, longest, longest, b"", end=end), CALLED)) == 2
    assert refusal(file(tmp_path, line(), longest + " ", end=end)) == f"line 2: longer than {MAX_LINE} bytes"


@pytest.mark.parametrize("what", [b" ", b"x", b"\0", b"[", "厨".encode()])
def test_a_line_of_ten_megabytes(tmp_path: Path, what: bytes) -> None:
    path = file(tmp_path, line(), what * (10**7 // len(what)), line())
    assert refusal(path) == f"line 2: longer than {MAX_LINE} bytes"


@pytest.mark.parametrize("text", [b"\xff\xfe", b'{"time": 1, "client": "\xe4"}', b"\x80" * 100])
def test_what_is_no_utf_8(tmp_path: Path, text: bytes) -> None:
    assert refusal(file(tmp_path, line(), text)) == "line 2: not UTF-8 text"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none") == "No such file or directory"
    assert refusal(tmp_path) == "Is a directory"


def test_too_many_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_REPORTS", 3)
    assert len(read_reports(file(tmp_path, *[line()] * 3), CALLED)) == 3
    assert refusal(file(tmp_path, *[line()] * 4)) == "more than 3 reports"


def test_reports_are_handed_on_in_time() -> None:
    told: list[Report] = []
    reports = [report("screen_off", at) for at in (5, 5, 7)]
    reporter = Reporter(reports, told.append)
    for until, count in ((5, 0), (6, 2), (6, 2), (3, 2), (7, 2), (100, 3), (200, 3)):
        reporter.advance(until * SECOND)
        assert len(told) == count
    assert told == reports


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.just(PHONE)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=5,
)


@given(st.one_of(
    st.text(), VALUES.map(json.dumps),
    st.dictionaries(st.sampled_from([*history.KEYS, "x"]), VALUES).map(lambda some: json.dumps({**GOOD, **some})),
))  # fmt: skip
def test_any_line_is_a_report_or_a_value_error(text: str) -> None:
    try:
        found = parse_report(text, CALLED)
    except ValueError as error:
        assert str(error).isprintable()  # noqa: PT017
    else:
        assert found.received_at >= 0
        assert found.client in (PHONE, TABLET) or ":" in found.client or "." in found.client


@given(st.binary())
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(content)
    try:
        assert isinstance(read_reports(path, CALLED), list)
    except DataError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017
