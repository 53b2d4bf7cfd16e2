"""One client: what it sends where, and whether somebody used it meanwhile."""

from deploy.grafana.dashboard import Line, dashboard, query_variable
from deploy.grafana.panels import (
    ORANGE,
    STATE_NUMBERS,
    STATES,
    Column,
    Json,
    Target,
    link_to_page,
    number,
    over_time,
    ranking,
    states_over_time,
    table,
)
from deploy.grafana.query import CHOSEN, PER_CLIENT, in_range, rate, series, state_number

THIS = 'client="$client"'


def build() -> Json:
    """The dashboard."""
    client = query_variable(
        "client",
        "Client",
        f"query_result(idlewire_client_info{{{CHOSEN}}})",
        regex='/client="(?<value>[^"]+)"|name="(?<text>[^"]+)"/g',
    )
    return dashboard(
        "idlewire-client",
        "Idlewire: client",
        "One client: what it sends where, and whether somebody used it meanwhile.",
        [
            Line(4, _numbers()),
            Line(4, [_names()]),
            Line(8, _traffic(), "What it sends"),
            Line(6, _used(), "Whether it is in use"),
            Line(9, _where(), "Where it sends to"),
            Line(9, _idle(), "While nobody was using it"),
        ],
        [client],
    )


def _numbers() -> list[Json]:
    seen = f"1000 * max({series('client_last_seen_timestamp_seconds', THIS)})"
    return [
        number(
            "In use",
            "Whether a person uses it now, as the rules believe.",
            "none",
            Target(state_number("client_state", "client", THIS)),
            words=STATE_NUMBERS,
        ),
        number(
            "Sent",
            "IP bytes to anywhere, in the time shown.",
            "decbytes",
            Target(in_range("client_sent_bytes_total", more=THIS)),
        ),
        number(
            "Received",
            "IP bytes from anywhere, in the time shown.",
            "decbytes",
            Target(in_range("client_received_bytes_total", more=THIS)),
        ),
        number(
            "Sent while nobody was using it",
            "IP bytes to destinations in background, in the time shown.",
            "decbytes",
            Target(in_range("client_state_sent_bytes_total", more=f'{THIS}, state="background"')),
            steps=((None, ORANGE),),
        ),
        number(
            "Alerts firing",
            "Alerts about it that fire now; the sensor's page has their text.",
            "none",
            Target(f"sum({series('client_alerts_firing', THIS)})"),
            steps=((None, "green"), (1, ORANGE)),
        ),
        number("Last seen", "When it last sent or received.", "dateTimeFromNow", Target(seen)),
    ]


def _names() -> Json:
    page = link_to_page("__data.fields.instance", "__data.fields.client")
    return table(
        "Who it is",
        "Its names, and the sensor that knows it: click the instance for the sensor's page, with names, addresses and "
        "owners of its destinations.",
        "none",
        Column("name"),
        Column("vendor"),
        Column("client"),
        Column("instance", links=(page,)),
        Column("known", series("client_info", THIS), "none"),
        sort="name",
    )


def _traffic() -> list[Json]:
    return [
        over_time(
            "Sent and received",
            "IP bytes per second, seen from the client, to and from anywhere.",
            "Bps",
            Target(rate("client_sent_bytes_total", more=THIS), "sent"),
            Target(rate("client_received_bytes_total", more=THIS), "received"),
        ),
        over_time(
            "Sent, by phone state",
            "IP bytes per second to destinations, by whether a person was using it when they were sent.",
            "Bps",
            Target(rate("client_state_sent_bytes_total", "state", THIS), "{{state}}"),
            stacked=True,
            colors=STATES,
        ),
    ]


def _used() -> list[Json]:
    reported = f"1000 * max by (source) ({series('client_foreground_timestamp_seconds', THIS)})"
    return [
        states_over_time(
            "In use, as the rules believe",
            "What all sources together say; unknown never accuses.",
            Target(state_number("client_state", "client", THIS), "all together"),
        ),
        states_over_time(
            "In use, as each source says",
            "Each source alone. Nothing here: nobody reports on this client.",
            Target(state_number("client_foreground_state", "source", THIS), "{{source}}"),
        ),
        number(
            "Last report, by source",
            "When each source last reported something of this client.",
            "dateTimeFromNow",
            Target(reported, "{{source}}"),
        ),
    ]


def _where() -> list[Json]:
    return [
        over_time(
            "Sending, by country",
            "IP bytes per second to destinations, by the country that the IP database gives for them: an opinion.",
            "Bps",
            Target(rate("client_country_sent_bytes_total", "country", THIS), "{{country}}"),
            stacked=True,
        ),
        ranking(
            "Sent, by country",
            "IP bytes to destinations in the time shown.",
            "decbytes",
            Target(in_range("client_country_sent_bytes_total", "country", THIS), "{{country}}"),
        ),
    ]


def _idle() -> list[Json]:
    sent = in_range("client_background_sent_bytes_total", f"{PER_CLIENT}, country", THIS)
    page = link_to_page("__field.labels.instance", "__field.labels.client")
    return [
        over_time(
            "Sending in background, by country",
            "IP bytes per second to destinations while its screen was off, it was locked, or no app was open.",
            "Bps",
            Target(rate("client_background_sent_bytes_total", "country", THIS), "{{country}}"),
            stacked=True,
        ),
        ranking(
            "Sent in background, by country",
            "IP bytes in the time shown; click for the sensor's page, which names the owners.",
            "decbytes",
            Target(sent, "{{country}}"),
            links=[page],
            color=ORANGE,
        ),
    ]
