"""With the real child process, one that dies, one that ends for want of work, and one that hangs."""

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sensor.base.settings import build
from sensor.deliver.notice import Link
from sensor.deliver.sink import SINKS
from sensor.errors import ConfigError
from tests.deliver.chat.far_end import FarEnd, Reply, fires, hostile, is_inert, is_over, opened, payloads, refusal

pytest.importorskip("apprise", reason="needs the package apprise")

from sensor.deliver.chat import apprise
from sensor.deliver.chat.apprise import Apprise, Settings

SECRET = "s3cretT0ken"


def service(got):
    assert got.headers["authorization"]
    return Reply(200)


def sink_at(url):
    return Apprise("others", Settings(f"json://user:{SECRET}@{url.removeprefix('http://')}/hook"), "0.1.0")


async def test_messages_go_through_one_child(examples):
    notice = replace(fires(examples), links=(Link("mute", "https://router.lan/mute?t=1"),))
    async with FarEnd(service).running() as far, opened(sink_at(far.url)) as sink:
        assert sink._child is None, "no memory is taken before there is something to say"
        assert await sink.send(notice, None) is None
        child = sink._child
        await sink.send(is_over(examples), None)
        assert sink._child is child
    assert child.returncode == 0, "it ends with the sink"
    assert far.complaints == []
    told, over = (got.json for got in far.got)
    assert (told["title"], told["type"]) == ("Warning: watchlist", "warning")
    assert told["message"].startswith("phone sent 1.2 KB to Xiaomi in CN\n")
    assert told["message"].endswith("\nmute: https://router.lan/mute?t=1")
    assert (over["title"], over["type"]) == ("Resolved: watchlist", "success")


async def test_nobody_sees_the_address(examples, caplog):
    caplog.set_level(0)
    async with FarEnd(lambda _: Reply(500, {"error": SECRET})).running() as far, opened(sink_at(far.url)) as sink:
        error = await refusal(sink, fires(examples))
        folder = Path(f"/proc/{sink._child.pid}")
        outside = folder.joinpath("cmdline").read_bytes() + folder.joinpath("environ").read_bytes()
    assert error.retry
    assert SECRET not in f"{error!r} {sink!r} {caplog.text}"
    assert SECRET.encode() not in outside


async def test_a_child_that_was_killed_is_started_again(examples):
    async with FarEnd(service).running() as far, opened(sink_at(far.url)) as sink:
        await sink.send(fires(examples), None)
        sink._child.kill()
        error = await refusal(sink, fires(examples))
        assert error.retry
        assert "died" in str(error)
        await sink.send(fires(examples), None)
    assert len(far.got) == 2


@pytest.fixture
def child(monkeypatch, tmp_path):
    """Puts a script in the place of the worker."""

    def put(text):
        (tmp_path / "child.py").write_text(f"import json, os, sys, time\n{text}\n")
        (tmp_path / "python").write_text(f"#!/bin/sh\nexec {sys.executable} {tmp_path}/child.py\n")
        (tmp_path / "python").chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    return put


ONCE = "sys.stdin.readline(); print(json.dumps({'outcome': 'delivered'}), flush=True)"


async def test_a_child_that_ended_for_want_of_work_costs_no_message(examples, child):
    child(ONCE)
    async with opened(sink_at("http://x")) as sink:
        await sink.send(fires(examples), None)
        await sink._child.wait()
        await sink.send(fires(examples), None)


@pytest.mark.parametrize(
    "text", ["print('no json')", "print('[]')", "print('{}')", "print('x' * 100_000)", "", "sys.exit(1)"]
)
async def test_a_child_that_talks_nonsense(examples, child, text):
    child(text)
    async with opened(sink_at("http://x")) as sink:
        assert (await refusal(sink, fires(examples))).retry


async def test_a_child_that_hangs_is_killed(examples, child, monkeypatch):
    monkeypatch.setattr(apprise, "SEND_SECONDS", 0.5)
    child("time.sleep(60)")
    async with opened(sink_at("http://x")) as sink:
        sending = asyncio.ensure_future(refusal(sink, fires(examples)))
        while sink._child is None:
            await asyncio.sleep(0.01)
        pid = sink._child.pid
        assert "no answer within" in str(await sending)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_message_that_is_interrupted_kills_the_child(examples, child):
    child("time.sleep(60)")
    async with opened(sink_at("http://x")) as sink:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await sink.send(fires(examples), None)
        assert sink._child is None


async def test_a_python_that_cannot_be_run(examples, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    async with opened(sink_at("http://x")) as sink:
        error = await refusal(sink, fires(examples))
    assert error.retry
    assert "cannot run /nonexistent/python: FileNotFoundError" in str(error)


async def test_an_address_that_apprise_does_not_know(examples):
    async with opened(Apprise("others", Settings(f"nonsense://{SECRET}"), "0.1.0")) as sink:
        error = await refusal(sink, fires(examples))
    assert not error.retry
    assert SECRET not in str(error)


async def test_long_and_hostile_text(examples):
    links = tuple(Link("mute", f"https://router.lan/{'x' * 300}") for _ in range(20))
    long = replace(fires(examples), title="x" * 5_000, lines=("\u4e2d" * 5_000,) * 40, links=links)
    asked = []

    async def keep(request):
        asked.append(apprise.json.loads(request))
        return "delivered"

    sink = sink_at("http://x")
    sink._ask = keep
    for notice in [long, *(hostile(examples, written) for written in [*payloads(examples), "see evil.example/x"])]:
        await sink.send(notice, None)
    for values in asked:
        assert len(values["title"]) <= 250
        assert len(values["body"]) <= 1_000
    for values in asked[1:]:
        for shown in (values["title"], values["body"]):
            assert is_inert(shown)
            assert not any(piece in shown for piece in ("<", "`", "evil.example", "@everyone", "://"))


@pytest.mark.parametrize("table", [{}, {"url": "ntfy"}, {"url": "://x"}, {"url": "a://b", "url_file": "/x"}])
def test_settings_that_cannot_be(table):
    with pytest.raises(ConfigError, match=r"^sink"):
        build(Settings, table, "sink")


def test_without_the_package(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.delitem(sys.modules, "sensor.deliver.chat.apprise")
    with pytest.raises(ConfigError, match=r"apprise is missing; install it with: .*-m pip install 'apprise>=1\.9'"):
        SINKS.find("apprise")
    monkeypatch.setitem(sys.modules, "sensor.deliver.chat.apprise", apprise)
