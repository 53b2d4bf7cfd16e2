"""One command on a phone, against a server that speaks the real protocol."""

import asyncio
import random
from contextlib import suppress

import pytest

from sensor.foreground.adb_server import (
    SERVICES,
    AdbServer,
    Answer,
    BrokenOffError,
    RefusedError,
    ServerGoneError,
    TooLongError,
)
from tests.foreground.fake_adb import FakePhone, serving, until

LIMIT = 100_000


def local(server):
    return AdbServer("127.0.0.1", server.port)


async def test_what_a_command_prints():
    phone = FakePhone(printed=lambda command: f"{command}: größer\n" * 300)
    async with serving(A1=phone) as server:
        answer = await local(server).shell("A1", "echo x", LIMIT)
        await until(lambda: server.open == 0)
    assert answer == Answer("echo x: größer\n" * 300, "shell,v2,raw:")
    assert phone.commands == ["shell,v2,raw:echo x"]


@pytest.mark.parametrize(
    ("services", "text"), [(("exec:", "shell:"), "a\nb\n"), (("shell:",), "a\r\nb\r\n")], ids=["exec", "terminal"]
)
async def test_older_phones_know_other_services(services, text):
    phone = FakePhone("a\nb\n", services=services)
    async with serving(A1=phone) as server:
        answer = await local(server).shell("A1", "x", LIMIT)
        assert answer == Answer(text, services[0])
        asked = len(phone.commands)
        await local(server).shell("A1", "x", LIMIT, answer.service)
    assert asked == SERVICES.index(services[0]) + 1
    assert len(phone.commands) == asked + 1


async def test_a_phone_that_runs_no_commands():
    async with serving(A1=FakePhone(services=())) as server:
        with pytest.raises(RefusedError, match="runs no commands"):
            await local(server).shell("A1", "x", LIMIT)


async def test_what_the_server_says_of_phones():
    phones = {"off": FakePhone(state="offline"), "new": FakePhone(state="unauthorized")}
    async with serving(**phones) as server:
        for serial, words in [
            ("off", "device offline"),
            ("new", "device unauthorized."),
            ("B\u202e2", r"device 'B\\u202e2' not found"),
        ]:
            with pytest.raises(RefusedError, match=f"^{words}$"):
                await local(server).shell(serial, "x", LIMIT)


async def test_only_what_is_printed_counts():
    async with serving(A1=FakePhone("out\n", habit="stderr")) as server:
        assert (await local(server).shell("A1", "x", LIMIT)).text == "out\n"


@pytest.mark.parametrize("habit", ["endless", "empty_packets", "huge_packet"])
async def test_more_than_was_asked_for(habit):
    async with serving(A1=FakePhone(habit=habit)) as server:
        with pytest.raises(TooLongError):
            await local(server).shell("A1", "x", LIMIT)
        await until(lambda: server.open == 0)


async def test_endless_output_without_packets():
    async with serving(A1=FakePhone(habit="endless", services=("exec:",))) as server:
        with pytest.raises(TooLongError):
            await local(server).shell("A1", "x", LIMIT)
        await until(lambda: server.open == 0)


async def test_an_answer_that_breaks_off():
    async with serving(A1=FakePhone("long\n" * 50, habit="break_off")) as server:
        with pytest.raises(BrokenOffError):
            await local(server).shell("A1", "x", LIMIT)


async def test_packets_that_are_none():
    async with serving(A1=FakePhone(habit="garbage")) as server:
        with pytest.raises((BrokenOffError, TooLongError)):
            await local(server).shell("A1", "x", LIMIT)


@pytest.mark.parametrize("habit", ["garbage", "close"])
async def test_what_is_no_adb_server(habit):
    async with serving(A1=FakePhone()) as server:
        server.habit = habit
        with pytest.raises(ServerGoneError):
            await local(server).shell("A1", "x", LIMIT)


@pytest.mark.parametrize("reply", [b"FAIL00zz", b"FAIL", b"OK", b"FAIL-001", b"FAIL0000", b"FAILffffshort"])
async def test_replies_that_are_cut_or_lie(reply):
    async def serve(reader, writer):
        await reader.readexactly(4)
        writer.write(reply)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises((ServerGoneError, RefusedError)):
            await AdbServer("127.0.0.1", port).shell("A1", "x", LIMIT)


@pytest.mark.parametrize("seed", range(40))
async def test_whatever_comes_is_an_answer_or_one_of_our_errors(seed):
    chance = random.Random(seed)
    reply = b"OKAY" * chance.randrange(3) + bytes(chance.choices(b"OKAYFIL\0\1\3\xff0f", k=chance.randrange(3000)))

    async def serve(reader, writer):
        await reader.readexactly(4)
        writer.write(reply)
        writer.write_eof()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with suppress(ServerGoneError, BrokenOffError, RefusedError, TooLongError):
            await AdbServer("127.0.0.1", port).shell("A1", "x", LIMIT, chance.choice(SERVICES))


async def test_no_server():
    async with serving() as server:
        pass
    with pytest.raises(ServerGoneError, match=r"^connection refused$"):
        await local(server).shell("A1", "x", LIMIT)


async def test_a_host_that_cannot_be_a_name():
    with pytest.raises(ServerGoneError, match=r"^no connection$"):
        await AdbServer("a" * 70 + "..b", 5037).shell("A1", "x", LIMIT)


async def test_a_caller_that_waits_no_longer_ends_the_command():
    async with serving(A1=FakePhone("x" * 50, habit="hang")) as server:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await local(server).shell("A1", "x", LIMIT)
        await until(lambda: server.open == 0)


async def test_a_command_that_no_request_can_hold():
    async with serving(A1=FakePhone()) as server:
        with pytest.raises(RefusedError, match="too long"):
            await local(server).shell("A1", "x" * 70_000, LIMIT)
