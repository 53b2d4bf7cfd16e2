"""Email, by any server that takes it over TLS. All messages about one alert are one thread."""

# The library reaches for these while it writes a message: imported before the sensor gives up its rights.
import email.generator
import email.header
import email.headerregistry  # noqa: F401
import hashlib
import logging
import re
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from sensor.base.times import SECOND
from sensor.deliver.http import tls_context
from sensor.deliver.notice import Notice
from sensor.deliver.secret import Secret, checked, one_of
from sensor.deliver.sink import Sink
from sensor.deliver.smtp import PORTS, Security, Server, Smtp
from sensor.deliver.text import cut, defang, facts, heading, lines

MAX_SUBJECT = 150
"""Characters; a line of a header may have 998 bytes (RFC 5322 section 2.1.1), encoded ones need up to 12 each."""
MAX_TO = 20
"""Receivers: no mailing list."""
MAX_BODY = 100_000
"""Characters."""
LAST = 253_402_300_799
"""The last second that a date can write."""

log = logging.getLogger(__name__)


class Address(str):
    """One address, without a name beside it."""

    __slots__ = ()
    example = "me@example.com"

    def __new__(cls, text: str) -> "Address":
        """ValueError: no address, or one that needs SMTPUTF8 or quotes."""
        address = text.strip()
        if not re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,250}", address, re.ASCII):
            raise ValueError("expected one address, like me@example.com")
        return super().__new__(cls, address)


class MailHost(str):
    """The name or address of a mail server."""

    __slots__ = ()
    example = "smtp.example.com"

    def __new__(cls, text: str) -> "MailHost":
        """ValueError: for example, there is a scheme or a port with it."""
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.%]{2,64}", text.strip(), re.ASCII):
            raise ValueError(f"expected a name or an address without a port, as in {cls.example}")
        return super().__new__(cls, text.strip())


def login(text: str) -> None:
    """ValueError, without it: it cannot be a user name or a password."""
    if not text.isprintable() or not text.isascii() or len(text) > 256:
        raise ValueError("expected one line of at most 256 ASCII characters")


@dataclass(frozen=True)
class Settings:
    """Keys of [[sink]] with type = "email"."""

    host: MailHost
    from_: Address
    to: tuple[Address, ...]
    port: int = 0
    """0: 587, with tls 465, with none 25."""
    security: Security = "starttls"
    """"none" only for a server on this machine: what is sent can be read and changed on its way."""
    username: str = ""
    password: str = field(default="", repr=False)
    password_file: str = ""
    ca_file: str = ""
    """Certificates (PEM) that vouch for the server instead of the system's."""

    def __post_init__(self) -> None:
        """ValueError: nobody to send to, no port, or a login that would go out in the clear."""
        one_of("password", self.password, self.password_file, needed=bool(self.username))
        checked("username", self.username, login)
        checked("password", self.password, login)
        if (self.password or self.password_file) and not self.username:
            raise ValueError("username: missing; a password needs one")
        if not 1 <= len(self.to) <= MAX_TO:
            raise ValueError(f"to: expected 1 to {MAX_TO} addresses")
        if not 0 <= self.port <= 65_535:
            raise ValueError("port: expected a number from 1 to 65535, or 0 for the usual one")
        if self.security == "none" and self.username:
            raise ValueError('security: a password needs "starttls" or "tls"')
        if self.security == "none" and self.ca_file:
            raise ValueError('ca_file: has no use with security = "none"')


class Email(Sink):
    """Plain text. Without TLS that can be trusted nothing is sent, not even in the clear."""

    settings_type = Settings
    pause = 1.0
    """Servers differ: gmail.com takes 500 messages a day, and says 4xx where one is too fast."""

    def __init__(self, name: str, settings: Settings, version: str) -> None:
        super().__init__(name, version)
        self._settings = settings
        self._password = Secret("password", settings.password, settings.password_file, login)
        self._tls: ssl.SSLContext | None = None
        self._smtp = Smtp()

    def prepare(self) -> None:
        self._password.prepare(self.name)
        if self._settings.security != "none":
            self._tls = tls_context(self._settings.ca_file, self.name)
        empty = Notice("", "", "test", "firing", "info", 0, "ä", ("ä",))
        message(empty, self._settings.from_, self._settings.to, None).as_bytes()  # imports what is imported late

    async def send(self, notice: Notice, earlier: str | None) -> str | None:
        """Answers the thread that `earlier` began; returns the Message-ID of its first mail."""
        chosen = self._settings
        port = chosen.port or PORTS[chosen.security]
        server = Server(chosen.host, port, chosen.security, chosen.username, self._password.reveal(), self._tls)
        mail = message(notice, chosen.from_, chosen.to, earlier)
        if refused := await self._smtp.send(server, mail, chosen.from_, chosen.to):
            log.warning("sink %s: %d of %d recipients refused", self.name, refused, len(chosen.to))
        return str(mail["References"] or mail["Message-ID"])


PLUGIN = Email


_SEVEN_BITS = SMTP.clone(cte_type="7bit")
"""What is not ASCII is encoded: smtplib does not ask whether the server takes 8BITMIME (RFC 6152)."""


def message(notice: Notice, sender: str, to: tuple[Address, ...], earlier: str | None) -> EmailMessage:
    """A try again has the same Message-ID, so that a mailbox can show it once; `earlier` is the thread's first."""
    mail = EmailMessage(policy=_SEVEN_BITS)
    mail["From"] = sender
    mail["To"] = ", ".join(to)
    mail["Subject"] = cut(defang(heading(notice)), MAX_SUBJECT)
    mail["Date"] = format_datetime(datetime.fromtimestamp(max(0, min(notice.at // SECOND, LAST)), UTC))
    digest = hashlib.sha256(notice.id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    mail["Message-ID"] = f"<{digest}.idlewire@{sender.rpartition('@')[2]}>"
    if earlier and re.fullmatch(r"<[0-9a-f]{32}\.idlewire@[A-Za-z0-9.-]{1,250}>", earlier, re.ASCII):
        mail["In-Reply-To"] = earlier
        mail["References"] = earlier
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation notes to it
    mail.set_content(cut(_text(notice), MAX_BODY), charset="utf-8")
    return mail


def _text(notice: Notice) -> str:
    told = [defang(line) for line in lines(notice)]
    measured = [f"{fact.label + ':':<10}{defang(fact.value)}" for fact in facts(notice)]
    links = [f"{link.label}: {link.url}" for link in notice.links]
    return "\n\n".join("\n".join(part) for part in (told, measured, links) if part) + "\n"
