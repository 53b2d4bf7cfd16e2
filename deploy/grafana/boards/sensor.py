"""Whether the sensors see everything, and what that costs."""

from deploy.grafana.dashboard import Line, dashboard
from deploy.grafana.panels import (
    GREEN,
    ORANGE,
    RED,
    Column,
    Json,
    Target,
    link_to_page,
    number,
    over_time,
    table,
)
from deploy.grafana.query import SENSOR, in_range, rate, series, share

YES_NO = {0: ("no", RED), 1: ("yes", GREEN)}


def build() -> Json:
    """The dashboard."""
    return dashboard(
        "idlewire-sensor",
        "Idlewire: sensor health",
        "Whether the sensors see everything, and what that costs.",
        [
            Line(4, _numbers()),
            Line(6, [_sensors()]),
            Line(8, _capture(), "Capture"),
            Line(8, _cost(), "Cost"),
            Line(8, _tables(), "Tables"),
            Line(8, _trouble(), "Trouble"),
            Line(8, _sources(), "Sources of phone states"),
        ],
    )


def _numbers() -> list[Json]:
    reloaded = f"1000 * max by (instance) ({series('config_last_reload_success_timestamp_seconds')})"
    return [
        _yes_or_no("Reached", "Prometheus can scrape it.", "up"),
        _yes_or_no("Capturing", "Its interface is there and up.", "capture_interface_up"),
        _yes_or_no(
            "Configuration in force",
            "The file as it was last read was right; otherwise the one before it is still in force.",
            "config_last_reload_successful",
        ),
        number("Configuration read", "When that last went well.", "dateTimeFromNow", Target(reloaded, "{{instance}}")),
        number(
            "Running for",
            "Since the process started.",
            "dtdurations",
            Target(f"time() - max by (instance) ({series('process_start_time_seconds')})", "{{instance}}"),
        ),
        number(
            "IP database of",
            "When the database behind countries and owners was built.",
            "dateTimeFromNow",
            Target(f"1000 * min by (instance) ({series('geo_database_build_timestamp_seconds')})", "{{instance}}"),
            steps=((None, ORANGE),),
        ),
    ]


def _yes_or_no(title: str, about: str, name: str) -> Json:
    target = Target(f"min by (instance) ({series(name)})", "{{instance}}")
    return number(title, about, "none", target, steps=((None, RED), (1, GREEN)), words=YES_NO)


def _sensors() -> Json:
    version = f"max by ({SENSOR}, version) ({series('build_info')})"
    frames = in_range("capture_frames_total", SENSOR)
    dropped = in_range("capture_dropped_frames_total", SENSOR)
    return table(
        "Sensors",
        "Click the instance for the sensor's page.",
        "none",
        Column("instance", links=(link_to_page("__data.fields.instance"),)),
        Column("version"),
        Column("frames", frames, "none"),
        Column("dropped frames", dropped, "none"),
        Column("written to disk", in_range("disk_written_bytes_total", SENSOR), "decbytes"),
        Column("running", version, "none"),
        sort="frames",
    )


def _capture() -> list[Json]:
    dropped, frames = rate("capture_dropped_frames_total", "instance"), rate("capture_frames_total", "instance")
    return [
        over_time(
            "Frames",
            "Per second: handed over by capture, dropped by the kernel for want of room, and not decodable.",
            "pps",
            Target(frames, "{{instance}} captured"),
            Target(dropped, "{{instance}} dropped"),
            Target(rate("capture_undecodable_frames_total", "instance"), "{{instance}} undecodable"),
        ),
        over_time(
            "Dropped share",
            "Of all frames. Above 1 %: make [capture] ring larger, or the box is too slow.",
            "percentunit",
            Target(share(dropped, f"({frames} + {dropped})"), "{{instance}}"),
        ),
        over_time(
            "Interface lost and back",
            "Times per second that the interface was missing, and that it came back.",
            "ops",
            Target(rate("capture_interface_waits_total", "instance"), "{{instance}} missing"),
            Target(rate("capture_interface_reopens_total", "instance"), "{{instance}} back"),
        ),
    ]


def _cost() -> list[Json]:
    return [
        over_time(
            "CPU",
            "Seconds of one processor per second.",
            "percentunit",
            Target(rate("process_cpu_seconds_total", "instance"), "{{instance}}"),
        ),
        over_time(
            "Memory",
            "Resident; 150 MB are planned for 250 clients.",
            "decbytes",
            Target(f"sum by (instance) ({series('process_resident_memory_bytes')})", "{{instance}}"),
        ),
        over_time(
            "Written to disk",
            "Bytes per second, the file system's own included. 50 MB a day are 580 B/s.",
            "Bps",
            Target(rate("disk_written_bytes_total", "instance"), "{{instance}}"),
        ),
        over_time(
            "Time of a scrape",
            "As Prometheus measured it.",
            "s",
            Target(f"max by (instance) ({series('scrape_duration_seconds')})", "{{instance}}"),
        ),
    ]


def _tables() -> list[Json]:
    return [
        over_time(
            "Rows",
            "Held in the tables of clients, destinations and flows.",
            "none",
            Target(f"sum by (instance, table) ({series('table_rows')})", "{{instance}} {{table}}"),
        ),
        over_time(
            "Evicted",
            "Rows per second that had to go because a table was full; their bytes stay counted.",
            "ops",
            Target(rate("evicted_rows_total", "instance, table"), "{{instance}} {{table}}"),
        ),
        over_time(
            "Without series of their own",
            "Clients and countries per second that are summed as other.",
            "ops",
            Target(rate("label_overflow_total", "instance, label"), "{{instance}} {{label}}"),
        ),
    ]


def _trouble() -> list[Json]:
    return [
        over_time(
            "Detectors that failed",
            "Times per second; the log has the first of each.",
            "ops",
            Target(rate("detector_failures_total", "instance, detector"), "{{instance}} {{detector}}"),
        ),
        over_time(
            "Events",
            "What was given up, doubted or left out on the way, per second; none of it loses bytes.",
            "ops",
            Target(rate("events_total", "instance, event"), "{{instance}} {{event}}"),
        ),
        over_time(
            "Writes that the disk refused",
            "Per second, of the outbox.",
            "ops",
            Target(rate("outbox_write_failures_total", "instance"), "{{instance}}"),
        ),
        over_time(
            "Sinks that are gone",
            "1: nothing is sent there any more until the sensor restarts (it answered that it does not exist).",
            "none",
            Target(f"max by (instance, sink) ({series('sink_gone')})", "{{instance}} {{sink}}"),
        ),
    ]


def _sources() -> list[Json]:
    return [
        over_time(
            "Reports",
            "Per second, by source and by what became of them.",
            "ops",
            Target(rate("foreground_reports_total", "source, outcome"), "{{source}}: {{outcome}}"),
        ),
        over_time(
            "Requests, polls and connections",
            "Per second, by source and by what became of them.",
            "ops",
            Target(rate("foreground_source_events_total", "source, kind"), "{{source}}: {{kind}}"),
        ),
        over_time(
            "Verdicts",
            "Per second: what was said of a client's use, by what is known better.",
            "ops",
            Target(
                rate("foreground_verdicts_total", "source, said, known"),
                "{{source}} said {{said}}, was {{known}}",
            ),
        ),
    ]
