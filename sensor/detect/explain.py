"""Alerts in a person's words: who, whose, how much, how long, and the phone states around it."""

from collections.abc import Sequence

from sensor.base.addresses import address_text
from sensor.base.countries import country_name
from sensor.base.text import printable
from sensor.base.times import SECOND, rfc3339
from sensor.model.activity import Contact
from sensor.model.alert import AlertClient, AlertDestination
from sensor.model.foreground import Change, Foreground

MAX_SUMMARY = 1_000
"""Characters of a summary."""

MAX_NAME = 100
"""Characters of a name that somebody else chose: none may push the rest out of the sentence."""

MAX_TIMELINE = 12
"""Changes of state that an alert carries; the latest."""

BEFORE = 3_600 * SECOND
"""ns of the timeline before the alert's start."""


def who(client: AlertClient) -> str:
    """`Redmi Note (Xiaomi)`, else `Xiaomi 60:38:e0:c5:35:a0`, else the MAC, else an address."""
    plain = client.mac or next(iter(client.addresses), client.id)
    name, vendor = printable(client.name or "", MAX_NAME), printable(client.vendor or "", MAX_NAME)
    if name:
        return f"{name} ({vendor})" if vendor else name
    return f"{vendor} {plain}" if vendor else plain


def whose(destination: AlertDestination) -> str:
    """`China Unicom Beijing in China (api.account.xiaomi.com, 42.62.48.10)`."""
    place = destination.place
    owner = (
        printable(place.owner or "", MAX_NAME) or ("" if place.asn is None else f"AS{place.asn}") or "an unknown owner"
    )
    where = f" in {country_name(place.country)}" if place.country else ""
    name = printable(destination.name or "", MAX_NAME)
    which = f"{name}, {destination.address}" if name else destination.address
    return f"{owner}{where} ({which})"


def far_end(contact: Contact) -> AlertDestination:
    """The contact's far end as alerts show it."""
    best = contact.names[0] if contact.names else None
    return AlertDestination(
        address=address_text(contact.address),
        name=None if best is None else best.name,
        name_source=None if best is None else best.source,
        place=contact.place,
    )


def sentence(text: str) -> str:
    """Safe to show, and not endless."""
    return printable(text, limit=MAX_SUMMARY)


def idle(foreground: Foreground) -> str:
    """`while its screen was off`."""
    if foreground.source == "schedule":
        return "at a time when nobody uses it"
    if foreground.source == "inferred":
        return "while its traffic looked as if nobody used it"
    return f"while {foreground.because or 'nobody used it'}"


def timeline(changes: Sequence[Change]) -> list[str]:
    """One line per change: when, what, whose word."""
    return [_line(change) for change in changes[-MAX_TIMELINE:]]


def _line(change: Change) -> str:
    known = change.foreground
    why = "" if known.because is None else f", {known.because}"
    app = "" if known.app is None else f" ({known.app})"
    against = f", contradicted by {', '.join(known.contradicted_by)}" if known.contradicted_by else ""
    told = why if known.source is None else f", told by {known.source}{why}"
    return printable(f"{rfc3339(change.time)[:19]}Z {known.state}{app}{told}{against}", limit=300)
