"""Who sends what where, by country and by whether a person was using it."""

from deploy.grafana.dashboard import Line, dashboard
from deploy.grafana.panels import (
    ORANGE,
    RED,
    STATES,
    Column,
    Json,
    Target,
    link_to_client,
    link_to_page,
    number,
    over_time,
    ranking,
    table,
)
from deploy.grafana.query import PER_CLIENT, in_range, named, or_zero, rate, series, share

TO_CLIENT = link_to_client("__field.labels.client")
BEYOND_CAP = "What has no series of its own (too many clients or countries) is in other."


def build() -> Json:
    """The dashboard."""
    return dashboard(
        "idlewire-overview",
        "Idlewire: overview",
        "Who sends what where, by country and by whether a person was using it.",
        [
            Line(4, _numbers()),
            Line(9, _who(), "Who"),
            Line(9, [_clients()]),
            Line(9, _where(), "Where"),
            Line(9, _idle(), "While nobody was using it"),
            Line(9, _states(), "In use or not"),
        ],
    )


def _numbers() -> list[Json]:
    dropped, frames = rate("capture_dropped_frames_total"), rate("capture_frames_total")
    clients = series("client_info", 'client!="other"')
    unknown = in_range("client_state_sent_bytes_total", more='state="unknown"')
    return [
        number(
            "Clients",
            "Clients that have been seen since the sensor started.",
            "none",
            Target(f"count({clients})"),
        ),
        number(
            "Sending now",
            "IP bytes per second that all clients send, to anywhere.",
            "Bps",
            Target(or_zero(rate("client_sent_bytes_total"))),
            trend=True,
        ),
        number(
            "Sent while nobody was using it",
            "Bytes to destinations from clients whose screen was off or that were locked, in the time shown.",
            "decbytes",
            Target(or_zero(in_range("client_state_sent_bytes_total", more='state="background"'))),
            steps=((None, ORANGE),),
        ),
        number(
            "Sent while its use was unknown",
            "Share of the bytes to destinations for which no source told whether the client was used. "
            "The rules about idle clients are blind for it.",
            "percentunit",
            Target(or_zero(share(unknown, in_range("client_state_sent_bytes_total")))),
        ),
        number(
            "Alerts firing",
            "Alerts of all detectors that fire now.",
            "none",
            Target(or_zero(f"sum({series('alerts_firing')})")),
            steps=((None, "green"), (1, ORANGE)),
        ),
        number(
            "Traffic seen",
            "Share of the frames that the kernel had room for; what it dropped is in no count.",
            "percentunit",
            Target(f"1 - {share(dropped, f'({frames} + {dropped})')}"),
            steps=((None, RED), (0.99, ORANGE), (0.999, "green")),
        ),
    ]


def _who() -> list[Json]:
    sending = named(rate("client_sent_bytes_total", PER_CLIENT))
    sent = named(in_range("client_sent_bytes_total", PER_CLIENT))
    return [
        over_time(
            "Sending, by client",
            f"IP bytes per second, the 20 clients that send most at each moment. {BEYOND_CAP}",
            "Bps",
            Target(f"topk(20, {sending})", "{{who}}"),
            stacked=True,
            links=[TO_CLIENT],
        ),
        ranking(
            "Sent, by client",
            "IP bytes in the time shown, the 20 clients that sent most; click for the client.",
            "decbytes",
            Target(f"topk(20, {sent})", "{{who}}"),
            links=[TO_CLIENT],
        ),
    ]


def _clients() -> Json:
    to_client, to_page = link_to_client("__data.fields.client"), link_to_page("__data.fields.instance")
    idle = in_range("client_state_sent_bytes_total", PER_CLIENT, 'state="background"')
    seen = f"1000 * max by ({PER_CLIENT}) ({series('client_last_seen_timestamp_seconds')})"
    return table(
        "Clients",
        "Per client, in the time shown: what it sent and received, what of that while nobody was using it, and what "
        f"fires about it. {BEYOND_CAP}",
        "decbytes",
        Column("who", links=(to_client,)),
        Column("client", links=(to_client,)),
        Column("sent", named(in_range("client_sent_bytes_total", PER_CLIENT)), "decbytes"),
        Column("received", in_range("client_received_bytes_total", PER_CLIENT), "decbytes"),
        Column("sent in background", idle, "decbytes"),
        Column("alerts firing", f"max by ({PER_CLIENT}) ({series('client_alerts_firing')})", "none"),
        Column("last seen", seen, "dateTimeFromNow"),
        Column("instance", links=(to_page,)),
        sort="sent",
    )


def _where() -> list[Json]:
    pairs = f"topk(50, {named(in_range('client_country_sent_bytes_total', f'{PER_CLIENT}, country'))})"
    return [
        over_time(
            "Sending, by country",
            "IP bytes per second to destinations, by the country that the IP database gives for them: an opinion. The "
            "first bytes to a new country are not in here, but in the sums beside. " + BEYOND_CAP,
            "Bps",
            Target(rate("client_country_sent_bytes_total", "country"), "{{country}}"),
            stacked=True,
        ),
        ranking(
            "Sent, by country",
            "IP bytes to destinations in the time shown.",
            "decbytes",
            Target(in_range("client_country_sent_bytes_total", "country"), "{{country}}"),
        ),
        table(
            "Who sent where",
            "The 50 pairs of client and country with most bytes in the time shown.",
            "decbytes",
            Column("who", links=(link_to_client("__data.fields.client"),)),
            Column("country"),
            Column("sent", pairs, "decbytes"),
            Column("client"),
            sort="sent",
        ),
    ]


def _idle() -> list[Json]:
    by_client = in_range("client_background_sent_bytes_total", PER_CLIENT)
    return [
        over_time(
            "Sending in background, by country",
            "IP bytes per second to destinations from clients that nobody was using: screen off, locked, or no app "
            "open. Silence of the sources is unknown and not in here.",
            "Bps",
            Target(rate("client_background_sent_bytes_total", "country"), "{{country}}"),
            stacked=True,
        ),
        ranking(
            "Sent in background, by country",
            "IP bytes in the time shown, from clients that nobody was using.",
            "decbytes",
            Target(in_range("client_background_sent_bytes_total", "country"), "{{country}}"),
            color=ORANGE,
        ),
        ranking(
            "Sent in background, by client",
            "IP bytes in the time shown that a client sent while nobody was using it; click for the client.",
            "decbytes",
            Target(f"topk(20, {named(by_client)})", "{{who}}"),
            links=[TO_CLIENT],
            color=ORANGE,
        ),
    ]


def _states() -> list[Json]:
    used = f"sum by (state) ({series('client_state')})"
    return [
        over_time(
            "Sending, by phone state",
            "IP bytes per second to destinations, by whether a person was using the client when they were sent.",
            "Bps",
            Target(rate("client_state_sent_bytes_total", "state"), "{{state}}"),
            stacked=True,
            colors=STATES,
        ),
        over_time(
            "Clients, by phone state",
            "How many clients are in use, not in use, or of unknown use.",
            "none",
            Target(used, "{{state}}"),
            stacked=True,
            colors=STATES,
        ),
    ]
