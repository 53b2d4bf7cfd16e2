"""The conversation itself; `chat/test_email.py` has it with a real server."""

import asyncio
from email.message import EmailMessage

import pytest

from sensor.deliver import smtp
from sensor.deliver.smtp import Server, Smtp
from sensor.errors import DeliveryError


def test_no_password_in_repr():
    assert repr(Server("h", 25, "none", "phil", "s3cret")) == "Server('h:25')"


async def test_without_a_context_there_is_no_tls_that_could_be_trusted():
    with pytest.raises(DeliveryError, match="not prepared"):
        await Smtp().send(Server("127.0.0.1", 1, "tls"), EmailMessage(), "a@b", ["c@d"])


async def test_a_cancelled_send_lets_go_of_its_thread():
    asked, ended = asyncio.Event(), asyncio.Event()

    async def serve(reader, writer):
        asked.set()
        await reader.read()
        writer.close()
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    post = Smtp()
    where = Server("127.0.0.1", server.sockets[0].getsockname()[1], "none")
    task = asyncio.ensure_future(post.send(where, EmailMessage(), "a@b", ["c@d"]))
    async with asyncio.timeout(5):
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while not post._thread.done():
            await asyncio.sleep(0.01)
        await ended.wait()
    server.close()


async def test_there_is_one_thread_at_a_time(monkeypatch):
    release = asyncio.Event()

    async def slow(*_):
        await release.wait()

    monkeypatch.setattr(smtp.asyncio, "to_thread", slow)
    monkeypatch.setattr(smtp, "TOTAL_SECONDS", 0.05)
    post, where = Smtp(), Server("127.0.0.1", 1, "none")
    with pytest.raises(DeliveryError, match="no answer within"):
        await post.send(where, EmailMessage(), "a@b", ["c@d"])
    with pytest.raises(DeliveryError, match="has not ended yet") as caught:
        await post.send(where, EmailMessage(), "a@b", ["c@d"])
    assert caught.value.retry
    release.set()
    while not post._thread.done():
        await asyncio.sleep(0)
