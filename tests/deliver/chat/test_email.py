"""Against a real SMTP server, with STARTTLS, TLS and without."""

import asyncio
import email.policy
import logging
import re
import socket
import ssl
from contextlib import contextmanager, suppress

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from sensor.base.settings import build
from sensor.deliver import smtp
from sensor.deliver.chat.email import Address, Email, MailHost, Settings, message
from sensor.errors import ConfigError, DeliveryError
from tests.deliver.chat import contract

PASSWORD = "s3cret-password"
ME = Address("me@example.com")


class Mailbox:
    """Keeps what arrives; `says` answers per command."""

    def __init__(self):
        self.mails = []
        self.says = {}

    async def handle_RCPT(self, server, session, envelope, address, options):
        if said := self.says.get(address):
            return said
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if said := self.says.get("DATA"):
            return said
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.content, session.ssl is not None))
        return "250 OK"

    def read(self):
        return [email.message_from_bytes(content, policy=email.policy.default) for _, _, content, _ in self.mails]


def server_context(certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.chain)
    return context


def logs_in(server, session, envelope, mechanism, data):
    good = (data.login, data.password) == (b"phil", PASSWORD.encode())
    return AuthResult(success=good, handled=False)


@contextmanager
def running(certificate, security="starttls", **options):
    box = Mailbox()
    context = server_context(certificate)
    if security == "starttls":
        options = {"tls_context": context, "require_starttls": True, **options}
    elif security == "tls":
        options = {"ssl_context": context, **options}
    controller = Controller(box, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    try:
        yield box, controller.port
    finally:
        controller.stop()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make(port, certificate=None, **keys):
    ca_file = str(certificate.authority) if certificate else ""
    settings = Settings(MailHost("127.0.0.1"), Address("box@example.net"), (ME,), port=port, ca_file=ca_file)
    sink = Email("lab", Settings(**{**vars(settings), **keys}), "0.1.0")
    sink.prepare()
    return sink


async def test_the_mail(certificate, examples):
    with running(certificate) as (box, port):
        returned = await make(port, certificate).send(contract.with_links(contract.alert(examples)), None)
    [(sender, to, content, secure)] = box.mails
    assert (sender, to, secure) == ("box@example.net", ["me@example.com"], True)
    assert all(len(line) <= 998 for line in content.split(b"\r\n"))
    [mail] = box.read()
    assert (mail["From"], mail["To"], mail["Subject"]) == ("box@example.net", "me@example.com", "Warning: watchlist")
    assert (mail["Auto-Submitted"], mail["Message-ID"]) == ("auto-generated", returned)
    told, measured, links = mail.get_content().replace("\r", "").strip().split("\n\n")
    assert told == "phone sent 1.2 KB to Xiaomi in CN"
    assert measured.split("\n")[:3] == ["Sent:     1.2 KB", "Received: 340 B", "To:       mi[.]com"]
    assert links.split("\n")[0] == "Mute: http://192.168.1.1:8470/mute?token=a.b&x=%3C"


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_with_a_login(certificate, examples, security):
    # aiosmtpd does not see TLS that was there from the start
    options = {"authenticator": logs_in, "auth_required": security == "starttls", "auth_require_tls": security != "tls"}
    with running(certificate, security, **options) as (box, port):
        await make(port, certificate, security=security, username="phil", password=PASSWORD).send(
            contract.alert(examples), None
        )
        assert len(box.mails) == 1
        sink = make(port, certificate, security=security, username="phil", password="wr0ng-password")
        with pytest.raises(DeliveryError, match=r"SMTPAuthenticationError \(535\)") as caught:
            await sink.send(contract.alert(examples), None)
    assert not caught.value.retry
    assert "wr0ng" not in f"{caught.value} {caught.value!r} {sink!r} {vars(sink)!r}"


async def test_without_tls(certificate, examples):
    with running(certificate, "none") as (box, port):
        await make(port, security="none").send(contract.alert(examples), None)
    assert [secure for *_, secure in box.mails] == [False]


async def test_what_follows_is_in_the_same_thread(certificate, examples):
    with running(certificate) as (box, port):
        sink = make(port, certificate)
        first = await sink.send(contract.alert(examples), None)
        assert await sink.send(contract.over(examples), first) == first
        assert await sink.send(contract.alert(examples), first) == first
    one, over, again = box.read()
    assert over["References"] == over["In-Reply-To"] == one["Message-ID"] == first
    assert again["Message-ID"] == one["Message-ID"], "a repeat can be told"
    assert over["Message-ID"] != first
    assert over["Subject"] == "Resolved: watchlist"


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_certificate_that_nobody_vouches_for(certificate, examples, security):
    with (
        running(certificate, security) as (box, port),
        pytest.raises(DeliveryError, match="SSLCertVerificationError") as caught,
    ):
        await make(port, None, security=security).send(contract.alert(examples), None)
    assert (caught.value.retry, box.mails) == (True, [])


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_certificate_of_another_server(another_certificate, examples, security):
    with (
        running(another_certificate, security) as (box, port),
        pytest.raises(DeliveryError, match="SSLCertVerificationError") as caught,
    ):
        await make(port, another_certificate, security=security).send(contract.alert(examples), None)
    assert (caught.value.retry, box.mails) == (True, [])


async def test_no_starttls_is_no_mail(certificate, examples):
    with (
        running(certificate, "none") as (box, port),
        pytest.raises(DeliveryError, match="SMTPNotSupportedError") as caught,
    ):
        await make(port, certificate).send(contract.alert(examples), None)
    assert (caught.value.retry, box.mails) == (True, [])


@pytest.mark.parametrize(
    ("says", "retry", "said"),
    [
        ({"DATA": "451 later"}, True, "451"),
        ({"DATA": "554 spam s3cret"}, False, "554"),
        ({"me@example.com": "450 greylisted"}, True, "450"),
        ({"me@example.com": "550 nobody"}, False, "550"),
    ],
)
async def test_refusals(certificate, examples, says, retry, said):
    with running(certificate) as (box, port):
        box.says = says
        with pytest.raises(DeliveryError, match=said) as caught:
            await make(port, certificate).send(contract.alert(examples), None)
    assert caught.value.retry is retry
    assert "s3cret" not in str(caught.value)


async def test_one_of_two_recipients(certificate, examples, caplog):
    with running(certificate) as (box, port), caplog.at_level(logging.WARNING):
        box.says = {"you@example.com": "550 nobody"}
        await make(port, certificate, to=(ME, Address("you@example.com"))).send(contract.alert(examples), None)
    assert [to for _, to, *_ in box.mails] == [["me@example.com"]]
    assert "sink lab: 1 of 2 recipients refused" in caplog.text


async def test_nobody_there(certificate, examples):
    with pytest.raises(DeliveryError, match=r"^127\.0\.0\.1:\d+: ConnectionRefusedError") as caught:
        await make(free_port(), certificate).send(contract.alert(examples), None)
    assert caught.value.retry


@pytest.mark.parametrize("flood", [b"", b"250-x\r\n", b"x" * 8_000])
async def test_a_server_that_never_ends(examples, monkeypatch, flood):
    """Silent, or endlessly greeting: it ends, costs little, and leaves no thread behind."""
    monkeypatch.setattr(smtp, "TOTAL_SECONDS", 0.5)

    async def serve(reader, writer):
        with suppress(ConnectionError):
            while flood:
                writer.write(flood * 100)
                await writer.drain()
            await reader.read()
        writer.close()
        ended.set()

    ended = asyncio.Event()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    sink = make(server.sockets[0].getsockname()[1], security="none")
    async with asyncio.timeout(5):
        with pytest.raises(DeliveryError) as caught:
            await sink.send(contract.alert(examples), None)
        assert caught.value.retry
        while not sink._smtp._thread.done():
            await asyncio.sleep(0.01)
        await ended.wait()
    server.close()


def test_hostile_text_is_inert(examples):
    for payload, notice in contract.hostile(examples):
        mail = message(notice, "box@example.net", (ME,), f"<x@y>\r\n{payload}")
        wire = mail.as_bytes()
        head, _, body = wire.partition(b"\r\n\r\n")
        assert re.findall(rb"(?m)^([A-Za-z-]+):", head) == [
            b"From", b"To", b"Subject", b"Date", b"Message-ID", b"Auto-Submitted",
            b"Content-Type", b"Content-Transfer-Encoding", b"MIME-Version",
        ], payload  # fmt: skip
        assert wire.isascii()
        assert b"\0" not in wire
        assert b"\n.\r" not in body
        assert all(len(line) <= 998 for line in wire.split(b"\r\n"))
        read = email.message_from_bytes(wire, policy=email.policy.default)
        assert contract.inert(read["Subject"]), payload
        text = re.sub(r"\n\w+: http://192\.168\.1\.1:8470/\S*", "", read.get_content())
        assert all(contract.inert(line) for line in text.splitlines()), payload


def test_short_text_that_is_not_ascii_is_encoded(examples):
    wire = message(contract.alert(examples, summary="Küche 😀"), "box@example.net", (ME,), None).as_bytes()
    assert wire.isascii()
    read = email.message_from_bytes(wire, policy=email.policy.default)
    assert read.get_content().startswith("Küche 😀")


def test_too_long_a_text_is_cut(examples):
    mail = message(contract.long(examples), "box@example.net", (ME,), None)
    assert len(mail["Subject"]) <= 150
    assert len(mail.get_content()) <= 100_001
    assert all(len(line) <= 998 for line in mail.as_bytes().split(b"\r\n"))


KEYS = {"host": "smtp.example.com", "from": "box@example.net", "to": ["me@example.com"]}


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"to": []}, "to: expected 1 to 20 addresses"),
        ({"to": ["me"]}, "to: expected one address"),
        ({"to": ["a@b\r\nBcc: c@d"]}, "to: expected one address"),
        ({"from": "Box <box@example.net>"}, "from: expected one address"),
        ({"host": "smtp://h"}, "host: expected a name or an address"),
        ({"port": 70_000}, "port: expected a number"),
        ({"username": "phil"}, "needs password or password_file"),
        ({"password": PASSWORD}, "username: missing"),
        ({"username": "phil", "password": f"{PASSWORD}\r\nQUIT"}, "password: expected one line"),
        ({"username": "phil", "password": PASSWORD, "security": "none"}, "security: a password needs"),
        ({"security": "ssl"}, 'security: expected one of "starttls", "tls", "none"'),
        ({"security": "none", "ca_file": "/x"}, "ca_file: has no use"),
    ],
)
def test_settings(keys, said):
    with pytest.raises(ConfigError, match=said) as caught:
        build(Settings, {**KEYS, **keys}, "sink[0]")
    assert PASSWORD not in str(caught.value)


def test_the_password_is_not_shown(tmp_path):
    assert PASSWORD not in repr(build(Settings, {**KEYS, "username": "phil", "password": PASSWORD}, ""))
    with pytest.raises(ConfigError, match=r"sink lab: password_file: .*No such file"):
        make(25, username="phil", password_file=str(tmp_path / "none"))
