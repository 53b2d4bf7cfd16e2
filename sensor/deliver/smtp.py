"""One message to one mail server in one thread, with an end to how long and how much it may answer."""

import asyncio
import contextlib
import encodings.idna  # noqa: F401  # the socket's name lookup reaches for it
import smtplib
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, Literal

from sensor.deliver.http import reason
from sensor.errors import DeliveryError

Security = Literal["starttls", "tls", "none"]

TOTAL_SECONDS = 15.0
"""For the whole conversation."""
STEP_SECONDS = 10.0
"""For one answer."""
MAX_ANSWERS = 65_536
"""Bytes that a server may say before and after STARTTLS."""
GREETING = "[127.0.0.1]"
"""RFC 5321 section 4.1.3."""
PORTS: dict[Security, int] = {"starttls": 587, "tls": 465, "none": 25}
"""RFC 6409, RFC 8314, RFC 5321."""


@dataclass(frozen=True)
class Server:
    """Whom to talk to, and how."""

    host: str
    port: int
    security: Security
    username: str = ""
    password: str = ""
    tls: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"Server({self.place!r})"

    @property
    def place(self) -> str:
        """What errors show."""
        return f"{self.host}:{self.port}"


class Smtp:
    """Sends; a thread that hangs in spite of all is waited for before there is another."""

    def __init__(self) -> None:
        self._thread: asyncio.Task[int] | None = None

    async def send(self, server: Server, message: EmailMessage, sender: str, to: Sequence[str]) -> int:
        """How many of `to` were refused, while others were not. DeliveryError: none got it; no secret in its text."""
        if self._thread is not None and not self._thread.done():
            raise DeliveryError(f"{server.place}: the last try has not ended yet", retry=True)
        if server.security != "none" and server.tls is None:  # smtplib would take any certificate
            raise DeliveryError(f"{server.place}: not prepared", retry=True)
        client = _client(server)
        self._thread = asyncio.ensure_future(asyncio.to_thread(_talk, client, server, message, sender, list(to)))
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                return await asyncio.shield(self._thread)
        except TimeoutError:
            raise DeliveryError(f"{server.place}: no answer within {TOTAL_SECONDS:g} s", retry=True) from None
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            passing = any(400 <= code < 500 for code in codes)
            raise DeliveryError(f"{server.place}: refused all recipients ({max(codes)})", retry=passing) from None
        except smtplib.SMTPResponseException as error:
            known = f"{server.place}: {type(error).__name__} ({error.smtp_code})"
            rubbish = type(error) is smtplib.SMTPResponseException  # 500 is smtplib's own word there
            raise DeliveryError(known, retry=rubbish or not 500 <= error.smtp_code < 600) from None
        except (smtplib.SMTPException, OSError) as error:
            raise DeliveryError(f"{server.place}: {reason(error)}", retry=True) from None
        except ValueError as error:
            raise DeliveryError(f"{server.place}: {type(error).__name__}", retry=False) from None
        finally:
            self._cut(client)

    def _cut(self, client: "_Bounded") -> None:
        """Whatever the thread still waits for ends now, and nobody asks for its result."""
        if self._thread is not None and not self._thread.done():
            self._thread.add_done_callback(lambda task: task.cancelled() or task.exception())
            client.cut = True
            if client.sock is not None:
                with contextlib.suppress(OSError):
                    client.sock.shutdown(socket.SHUT_RDWR)


class _Capped:
    """A file of answers that ends after `MAX_ANSWERS`."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left = MAX_ANSWERS

    def readline(self, size: int) -> bytes:
        line: bytes = self._file.readline(size)
        self._left -= len(line)
        if self._left < 0:
            raise OSError("too long an answer")
        return line

    def close(self) -> None:
        self._file.close()


class _Bounded(smtplib.SMTP):
    """Reads no more than it must, and nothing once `cut` is set."""

    cut = False

    def getreply(self) -> tuple[int, bytes]:
        if self.cut:
            raise OSError("cut off")
        if self.file is None and self.sock is not None:
            self.file = _Capped(self.sock.makefile("rb"))
        return super().getreply()


class _BoundedTls(_Bounded, smtplib.SMTP_SSL):
    pass


def _client(server: Server) -> _Bounded:
    """Not connected; it greets with an address literal, as asking for this box's name would block."""
    if server.security == "tls":
        return _BoundedTls(local_hostname=GREETING, timeout=STEP_SECONDS, context=server.tls)
    return _Bounded(local_hostname=GREETING, timeout=STEP_SECONDS)


def _talk(client: smtplib.SMTP, server: Server, message: EmailMessage, sender: str, to: list[str]) -> int:
    client._host = server.host  # type: ignore[attr-defined]  # smtplib takes the certificate's name from there
    try:
        client.connect(server.host, server.port)
        if server.security == "starttls":
            client.starttls(context=server.tls)
        if server.username:
            client.login(server.username, server.password)
        refused = client.send_message(message, sender, to)
        with contextlib.suppress(smtplib.SMTPException, OSError):
            client.quit()
    finally:
        client.close()
    return len(refused)
