"""Kinds of text and numbers that settings hold; each constructor raises ValueError for what it is not."""

import re
from typing import ClassVar
from urllib.parse import urlsplit

from sensor.base.addresses import mac_text, parse_address, parse_mac
from sensor.base.domains import normalize
from sensor.base.text import printable

MAX_LABEL = 64
"""Characters of a name that someone gave to a watch, a sink or a client."""


class Label(str):
    """A name that someone gave to something: 1 to 64 printable characters."""

    __slots__ = ()
    example = "china"

    def __new__(cls, text: str) -> "Label":
        """Blanks around it are dropped."""
        label = text.strip()
        if not 1 <= len(label) <= MAX_LABEL or not label.isprintable():
            raise ValueError(f"expected a name of 1 to {MAX_LABEL} printable characters, got {_quoted(text)}")
        return super().__new__(cls, label)


class Asn(int):
    """The number of an autonomous system (RFC 6793)."""

    __slots__ = ()
    example = 4837
    accepts: ClassVar[tuple[type, ...]] = (int, str)

    def __new__(cls, value: int | str) -> "Asn":
        """From 4837, "4837" or "AS4837"."""
        found = re.fullmatch(r"(?:AS)?([0-9]{1,10})", str(value).strip(), re.IGNORECASE | re.ASCII)
        number = int(found[1]) if found else 0
        if not 1 <= number < 2**32:
            raise ValueError(f'{_quoted(value)} is not an AS number like 4837 or "AS4837"')
        return super().__new__(cls, number)


class Owner(str):
    """Part of an owner's name."""

    __slots__ = ()
    example = "Xiaomi"

    def __new__(cls, text: str) -> "Owner":
        """Nothing but blanks would be part of every name."""
        if not text.strip():
            raise ValueError("expected a part of an owner's name, got only blanks")
        return super().__new__(cls, text.strip())


class Network(str):
    """A block of IPv4 or IPv6 addresses, written with its length; one address is a block of one."""

    __slots__ = ()
    example = "42.62.48.0/24"

    def __new__(cls, text: str) -> "Network":
        """Bits beyond the length are refused: they are a mistyped address or a mistyped length."""
        import netaddr  # slow to import, and most runs name no network

        try:
            network = netaddr.IPNetwork(text.strip())
        except (netaddr.AddrFormatError, ValueError) as error:
            raise ValueError(f"{_quoted(text)} is not a network like 42.62.48.0/24 or 2400:3200::/32") from error
        if network.ip != network.network:
            raise ValueError(f"{_quoted(text)} has bits set beyond its length; did you mean {network.cidr}?")
        return super().__new__(cls, str(network.cidr))

    def block(self) -> tuple[int, int, int]:
        """(bytes of an address, bits of the prefix, first address as a number)."""
        import netaddr

        network = netaddr.IPNetwork(self)
        return (4 if network.version == 4 else 16), network.prefixlen, network.first


class LocalNetwork(Network):
    """A block of addresses that are clients."""

    __slots__ = ()
    example = "2001:db8:77::/48"

    def __new__(cls, text: str) -> "LocalNetwork":
        """Not every address: then nothing would be a destination."""
        network = super().__new__(cls, text)
        if network.endswith("/0"):
            raise ValueError(f"{_quoted(text)} is every address: then nothing would be a destination")
        return network  # type: ignore[return-value]


class Domain(str):
    """A domain name: it stands for itself and everything under it."""

    __slots__ = ()
    example = "xiaomi.com"

    def __new__(cls, text: str) -> "Domain":
        """Lower case, letters beyond ASCII as punycode, one last dot dropped."""
        if _is_address(text):
            raise ValueError(f"{_quoted(text)} is an address, not a domain; write it under cidrs")
        return super().__new__(cls, normalize(text.strip()))


class Host(str):
    """A host name by which a browser may ask: no scheme, no port, no path."""

    __slots__ = ()
    example = "router.lan"

    def __new__(cls, text: str) -> "Host":
        """In the form in which browsers send it: lower case, letters beyond ASCII as punycode."""
        try:
            return super().__new__(cls, normalize(text.strip()))
        except ValueError:
            raise ValueError(f"{_quoted(text)} is not a host name like router.lan (no http://, no port)") from None


class Mac(str):
    """A client's MAC address, as in `60:38:e0:c5:35:a0`."""

    __slots__ = ()
    example = "60:38:e0:c5:35:a0"

    def __new__(cls, text: str) -> "Mac":
        """Six bytes in hex, with or without `:`, `-` or `.`; no group address (IEEE 802: lowest bit of byte 0)."""
        try:
            mac = parse_mac(text)
        except ValueError:
            raise ValueError(f"{_quoted(text)} is not a MAC address like 60:38:e0:c5:35:a0") from None
        if mac[0] & 1:
            raise ValueError(f"{_quoted(text)} is a group address: no client sends from it")
        return super().__new__(cls, mac_text(mac))


class ClientRef(Label):
    """A client: its MAC, or its name under [[client]], which becomes the MAC when the file is read."""

    __slots__ = ()
    example = "Redmi Note"


class PublicUrl(str):
    """Where people reach the page, as in links: scheme, host and perhaps a port; empty: nowhere."""

    __slots__ = ()
    example = "http://router.lan:8470"

    def __new__(cls, text: str) -> "PublicUrl":
        """Lower case, without a last slash. No user, path or query: what follows is the sensor's own."""
        written = text.strip().lower().removesuffix("/")
        found = re.fullmatch(
            r"https?://(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]{1,253}))(?::([0-9]{1,5}))?", written, re.ASCII
        )
        if written and (
            not found or (found[1] and not _is_address(found[1])) or (found[3] and not 0 < int(found[3]) < 65_536)
        ):
            raise ValueError(f"expected scheme, host and perhaps a port, like {cls.example}, and nothing behind it")
        return super().__new__(cls, written)

    @property
    def host(self) -> str:
        """The name or address in it; empty: there is none."""
        return urlsplit(self).hostname or ""


class Interface(str):
    """The name of a network interface, or "auto"."""

    __slots__ = ()
    example = "br0"

    def __new__(cls, text: str) -> "Interface":
        """As the kernel takes it (dev_valid_name in net/core/dev.c): below 16 bytes, no blanks, `/` or `:`."""
        if not re.fullmatch(r"[^\s/:]{1,15}", text) or len(text.encode()) > 15 or text in (".", ".."):
            raise ValueError(f"{_quoted(text)} is not the name of an interface")
        return super().__new__(cls, text)


class Listen(str):
    """Where a server listens: `127.0.0.1:8470`, `[::1]:8470`, `localhost:0`; port 0 is any free one."""

    __slots__ = ()
    example = "127.0.0.1:8470"

    def __new__(cls, text: str) -> "Listen":
        """An address (IPv6 in brackets) or a host name, then the port."""
        found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})", text.strip())
        if not found or int(found[3]) > 65_535 or (found[1] and not _is_address(found[1])):
            raise ValueError(f'expected text like "127.0.0.1:8470" or "[::1]:8470", got {_quoted(text)}')
        return super().__new__(cls, text.strip())


class BrokerName(str):
    """The name or address of a broker."""

    __slots__ = ()
    example = "192.168.1.10"

    def __new__(cls, text: str) -> "BrokerName":
        """Only what can be in one: no scheme, no port."""
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.%]{2,64}", text.strip(), re.ASCII):
            raise ValueError(f"expected a name or an address without mqtt:// and port, as in {cls.example}")
        return super().__new__(cls, text.strip())


class Port(int):
    """A TCP port."""

    __slots__ = ()
    example = 1883
    accepts: ClassVar[tuple[type, ...]] = (int,)

    def __new__(cls, number: int) -> "Port":
        """ValueError for what is none."""
        if not 1 <= number <= 65_535:
            raise ValueError(f"expected a port from 1 to 65535, got {number}")
        return super().__new__(cls, number)


def https_url(text: str) -> None:
    """ValueError, without the text: it is no https URL with a host, written in one line."""
    try:
        parts = urlsplit(text)
        fine = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine or not text.isprintable() or not text.isascii() or " " in text:
        raise ValueError("the URL must begin with https:// and a host, in one line without blanks")


def is_mac(text: str) -> bool:
    """Whether it reads as a MAC address."""
    try:
        parse_mac(text)
    except ValueError:
        return False
    return True


def _is_address(text: str) -> bool:
    try:
        parse_address(text.strip())
    except ValueError:
        return False
    return True


def _quoted(value: object) -> str:
    return f"'{printable(value, 80)}'" if isinstance(value, str) else str(value)
