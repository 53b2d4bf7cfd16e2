"""What differs between two configurations, and whether the other one can be taken."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from sensor.changes import NEEDS_RESTART, Plan, plan, read_files
from sensor.config import parse
from sensor.errors import ConfigError
from tests.enrich.mmdb import database

LAB = {"name": "lab", "type": "webhook", "url": "http://127.0.0.1:9/a"}
PUSH = {"push": {"phone": [{"client": "60:38:e0:c5:35:a0", "token": "a" * 20}]}}


def changed(old: dict[str, Any], new: dict[str, Any]) -> Plan:
    before = parse(old)
    return plan(before, parse(new), read_files(before))


def test_nothing() -> None:
    same: dict[str, Any] = {"sink": [LAB], "foreground": PUSH, "web": {"token": "b" * 20}}
    found = changed(same, same)
    assert (found.sinks, found.sources, found.gone, found.allowances, found.admin) == ({}, (), (), None, None)
    assert (found.changed, found.restart, found.kept) == ([], [], [])


def test_each_part_alone() -> None:
    old: dict[str, Any] = {"sink": [LAB, {**LAB, "name": "same"}], "foreground": {**PUSH, "inferred": {}}}
    new: dict[str, Any] = {
        "sink": [{**LAB, "url": "http://127.0.0.1:9/b"}, {**LAB, "name": "same"}, {**LAB, "name": "new"}],
        "foreground": {**PUSH, "schedule": {}},
        "watch": [{"name": "a", "asns": [1]}],
        "web": {"token": "b" * 20},
    }
    found = changed(old, new)
    assert set(found.sinks) == {"lab", "new"}
    assert ([each.name for each in found.sources], found.gone) == (["schedule"], ("inferred",))
    assert found.admin is not None
    assert found.changed == [
        "watch", "web.token", "foreground.schedule", "foreground.inferred", "sink lab", "sink new",
    ]  # fmt: skip
    assert changed(old, {**old, "sink": [LAB]}).changed == ["sink same (gone)"]


def test_a_sink_of_another_type_is_another_one() -> None:
    found = changed({"sink": [LAB]}, {"sink": [{**LAB, "type": "slack"}]})
    assert set(found.sinks) == {"lab"}


@pytest.mark.parametrize(
    ("key", "new"),
    [
        ("interface", {"interface": "br7"}),
        ("promiscuous", {"promiscuous": True}),
        ("state_dir", {"state_dir": "/nowhere"}),
        ("user", {"user": "root"}),
        ("capture", {"capture": {"ring": "1MiB"}}),
        ("web.listen", {"web": {"listen": "127.0.0.1:1"}}),
        ("web.hosts", {"web": {"hosts": ["router.lan"]}}),
        ("web.public_url", {"web": {"public_url": "http://router.lan:8470"}}),
        ("web.link_age", {"web": {"link_age": "1d"}}),
        ("account", {"account": {"max_clients": 5}}),
    ],
)
def test_what_needs_a_restart_is_named_and_left_as_it_is(key: str, new: dict[str, Any]) -> None:
    found = changed({}, {**new, "name": "attic"})
    assert (found.restart, found.changed) == ([key], ["name"])
    assert found.config == parse({"name": "attic"})
    assert key in NEEDS_RESTART


def test_a_further_server_of_a_source_needs_one_too() -> None:
    with_listen = {"push": {**PUSH["push"], "listen": "127.0.0.1:8471"}}
    assert changed({"foreground": PUSH}, {"foreground": with_listen}).restart == ["foreground.push.listen"]


def test_what_is_fetched_is_no_business_of_the_daemon(tmp_path: Path) -> None:
    found = changed({}, {"geo": {"update_url_file": str(tmp_path / "none")}})
    assert (found.restart, found.changed) == ([], [])
    assert found.config.geo.update_url_file == str(tmp_path / "none")


def test_databases_stay_until_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "a.mmdb"
    path.write_bytes(database({"8.0.0.0/8": {"country_code": "US"}}, "Own-DB", 1_790_000_000))
    found = changed({}, {"geo": {"databases": [str(path)]}})
    assert (found.restart, found.config.geo.databases) == (["geo.databases"], ())


def test_what_cannot_work_is_refused_line_by_line(tmp_path: Path) -> None:
    none = tmp_path / "none"
    new: dict[str, Any] = {
        "sink": [{"name": "lab", "type": "webhook", "url_file": str(none)}],
        "geo": {"databases": [str(none)]},
        "web": {"token_file": str(none)},
        "allow_lists": [str(none)],
    }
    with pytest.raises(ConfigError) as caught:
        changed({}, new)
    lines = caught.value.problems
    assert len(lines) == 4
    assert all(str(none) in line for line in lines)


def test_a_secret_that_changed_in_its_file_makes_a_new_sink(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("http://127.0.0.1:9/a")
    config = parse({"sink": [{"name": "lab", "type": "webhook", "url_file": str(file)}]})
    known = read_files(config)
    assert plan(config, config, known).sinks == {}
    file.write_text("http://127.0.0.1:9/b")
    assert set(plan(config, config, known).sinks) == {"lab"}


def _forbidden(*_: object) -> int:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_a_secret_that_cannot_be_read_any_more_goes_on_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, token, push = tmp_path / "url", tmp_path / "token", tmp_path / "push"
    for file in (url, token, push):
        file.write_text(f"http://127.0.0.1:9/{file.name}")
    config = parse(
        {
            "sink": [{"name": "lab", "type": "webhook", "url_file": str(url)}],
            "web": {"token_file": str(token)},
            "foreground": {"push": {"phone": [{"token_file": str(push)}]}},
        }
    )
    known = read_files(config)
    monkeypatch.setattr(os, "open", _forbidden)
    found = plan(config, config, known)
    assert (found.sinks, found.sources, found.admin) == ({}, (), None)
    assert found.kept == sorted(map(str, (url, token, push)))
    assert found.digests == known, "so that it is known again once it can be read"


def test_a_list_of_ones_own_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[[allow]]\nname = "a"\nreason = "b"\nasns = [1]\n')
    config = parse({"allow_lists": [str(file)]})
    known = read_files(config)
    file.write_text('[[allow]]\nname = "c"\nreason = "b"\nasns = [1]\n')
    found = plan(config, config, known).allowances
    assert found is not None
    assert [each.name for each in found] == ["c"]


def test_a_file_that_is_gone_is_refused_as_at_a_start(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("a" * 20)
    config = parse({"web": {"token_file": str(file)}})
    known = read_files(config)
    file.unlink()
    with pytest.raises(ConfigError, match="No such file"):
        plan(config, config, known)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match="pipe: not a regular file"):
        changed({}, {"web": {"token_file": str(pipe)}})
