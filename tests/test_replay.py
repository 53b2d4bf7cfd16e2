"""Capture files through the same pipeline as live frames."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from sensor import replay as replay_module
from sensor.config import parse
from sensor.deliver.report import Result, replay_object
from sensor.errors import CaptureError, DataError
from sensor.replay import replay
from tests.frames import FAR, FAR_TOO, HOME, PHONE, ROUTER, SECOND, START, Timed, answer, hello, pcap, tcp, udp

PHONE_ID = PHONE.hex(":")
FRAMES: list[Timed] = [
    (0, answer("api.io.mi.com", FAR)),
    (SECOND, tcp(HOME, FAR, hello("api.io.mi.com"))),
    (2 * SECOND, tcp(FAR, HOME, bytes(99), ports=(443, 40_000), macs=(ROUTER, PHONE))),
]


def silent(done: int, total: int | None) -> None:
    pass


def replayed(*paths: Path, local: tuple[str, ...] = (), **settings: Any) -> Result:
    return replay(parse(settings), [str(path) for path in paths], local=local, progress=silent)


def shown(result: Result) -> dict[str, Any]:
    """The JSON object without the files' names."""
    found = replay_object(result)
    del found["capture"]["files"]
    return found


def test_what_a_capture_holds(tmp_path: Path) -> None:
    result = replayed(pcap(tmp_path / "a.pcap", FRAMES))
    assert (result.replayed.frames, result.replayed.undecodable_frames, result.replayed.warnings) == (3, 0, ())
    assert (result.replayed.first, result.replayed.last) == (START, START + 2 * SECOND)
    assert list(result.names_seen) == ["api.io.mi.com"]
    [found] = result.destinations[PHONE_ID]
    assert (found.address, [name.source for name in found.names]) == (FAR, ["tls", "dns"])
    assert (found.totals.received_bytes, found.rates.sent_1m, found.services) == (139, 0.0, ())
    assert found.place.country is not None
    assert result.sensor.geo_database


def test_the_last_second_counts_and_alerts(tmp_path: Path) -> None:
    result = replayed(pcap(tmp_path / "a.pcap", FRAMES[:2]), watch=[{"name": "mi", "domains": ["mi.com"]}])
    assert [alert.rule for alert in result.alerts] == ["mi"]


def test_an_empty_capture(tmp_path: Path) -> None:
    result = replayed(pcap(tmp_path / "empty.pcap", []))
    assert (result.replayed.frames, result.replayed.first, list(result.clients)) == (0, None, [])


def test_several_files_are_one_capture_in_order_of_time(tmp_path: Path) -> None:
    early, late = pcap(tmp_path / "z.pcap", FRAMES[:2]), pcap(tmp_path / "a.pcap", FRAMES[2:])
    whole = pcap(tmp_path / "whole.pcap", FRAMES)
    both = replayed(late, early)
    assert both.replayed.files == (str(late), str(early))
    assert shown(both) == shown(replayed(whole))


def test_given_prefixes_are_local(tmp_path: Path) -> None:
    capture = pcap(tmp_path / "a.pcap", [*FRAMES, (3 * SECOND, udp(HOME, FAR_TOO))])
    result = replayed(capture, local=("42.62.0.0/16",))
    assert [each.address for each in result.destinations[PHONE_ID]] == [FAR_TOO]


def test_the_same_result_however_it_is_packed(tmp_path: Path) -> None:
    plain = pcap(tmp_path / "a.pcap", FRAMES)
    packed = tmp_path / "a.pcap.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert shown(replayed(packed)) == shown(replayed(plain))


def test_a_file_that_ends_early_gives_what_came_before(tmp_path: Path) -> None:
    capture = pcap(tmp_path / "cut.pcap", FRAMES)
    capture.write_bytes(capture.read_bytes()[:-5])
    result = replayed(capture)
    assert result.replayed.frames == 2
    [warning] = result.replayed.warnings
    assert "cut.pcap" in warning


@pytest.mark.parametrize("content", [None, b"", b"no capture at all, only text"])
def test_no_capture(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "odd.pcap"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CaptureError, match=r"odd\.pcap") as caught:
        replayed(path)
    assert "\n" not in str(caught.value)


def test_no_database(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.mmdb"):
        replayed(pcap(tmp_path / "a.pcap", FRAMES), geo={"databases": [str(tmp_path / "none.mmdb")]})


@pytest.mark.parametrize("broken", [False, True])
def test_the_house_is_closed_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: bool) -> None:
    closed: list[bool] = []
    monkeypatch.setattr(replay_module.House, "close", lambda self: closed.append(True))
    path = pcap(tmp_path / "a.pcap", FRAMES)
    if broken:
        path.write_bytes(b"\0" * 30)
        with pytest.raises(CaptureError):
            replayed(path)
    else:
        replayed(path)
    assert closed == [True]


def test_progress_is_told_in_bytes(tmp_path: Path) -> None:
    path = pcap(tmp_path / "a.pcap", FRAMES)
    seen: list[tuple[int, int | None]] = []
    replay(parse({}), [str(path)], progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)


STATE = {"time": START / SECOND - 300, "client": PHONE_ID, "source": "push", "event": "screen_off"}


def states(path: Path, *lines: dict[str, Any]) -> Path:
    path.write_text("\n".join(json.dumps({**STATE, **line}) for line in lines))
    return path


def known(result: Result, client: str = PHONE_ID) -> dict[str, int]:
    """State -> bytes that the client sent in it."""
    return {state: sent for (identity, state), sent in result.state_sent.items() if identity == client}


@pytest.mark.parametrize("client", [PHONE_ID, PHONE_ID.upper(), "Redmi Note"])
def test_states_of_a_client_by_its_mac_or_its_name(tmp_path: Path, client: str) -> None:
    capture = pcap(tmp_path / "a.pcap", [(at * SECOND, udp(HOME, FAR)) for at in range(6)])
    named = parse({"client": [{"mac": PHONE_ID, "name": "Redmi Note"}]})
    file = states(
        tmp_path / "s", {"client": client}, {"client": client, "event": "screen_on", "time": START / SECOND + 3}
    )
    result = replay(named, [str(capture)], foreground=file, progress=silent)
    assert known(result) == {"background": 3 * 28, "foreground": 3 * 28}


def test_states_do_not_depend_on_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [(at * SECOND // 3, udp(HOME, FAR)) for at in range(90)]
    capture = pcap(tmp_path / "a.pcap", frames)
    turns = [{"event": ("screen_on", "screen_off")[at % 2], "time": START / SECOND + 5 + at * 1.7} for at in range(20)]
    found = []
    for size in (1, 2, 7, 16_384):
        monkeypatch.setattr(replay_module, "BATCH", size)
        settings = parse({"foreground": {"grace": "1s"}})
        result = replay(settings, [str(capture)], foreground=states(tmp_path / "s", *turns), progress=silent)
        found.append((known(result), shown(result)))
    assert found[1:] == found[:1] * 3
    assert len(found[0][0]) == 3, "some of each"


def test_states_after_the_capture_do_not_matter(tmp_path: Path) -> None:
    capture = pcap(tmp_path / "a.pcap", [(0, udp(HOME, FAR))])
    file = states(tmp_path / "s", {"time": START / SECOND + 5000})
    result = replay(parse({}), [str(capture)], foreground=file, progress=silent)
    assert known(result) == {"unknown": 28}


@pytest.mark.parametrize("text", ["{", '{"time": 1}', "\udc80"])
def test_a_bad_file_of_states_is_refused_before_anything_is_read(tmp_path: Path, text: str) -> None:
    file = states(tmp_path / "s", {})
    file.write_bytes(file.read_bytes() + b"\n\n" + text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=r"s: line 3: "):
        replay(parse({}), [str(tmp_path / "none.pcap")], foreground=file, progress=silent)
