"""Capture files through the same pipeline as live frames."""

from collections.abc import Callable, Sequence
from pathlib import Path

from sensor.capture.files import CaptureFiles
from sensor.capture.files.captures import Stats
from sensor.config import Config
from sensor.deliver.report import Replayed, Result
from sensor.foreground.history import Reporter, read_reports
from sensor.house import House
from sensor.model.alert import Alert
from sensor.model.foreground import Report

BATCH = 32_768
"""Frames at once: four times what is live, where memory is dearer than time."""

Progress = Callable[[int, int | None], None]
"""(bytes read, bytes in all or None) now and then."""


def replay(
    config: Config,
    paths: Sequence[str],
    *,
    local: Sequence[str] = (),
    foreground: Path | None = None,
    progress: Progress,
    on_alert: Callable[[Alert], None] = lambda _: None,
) -> Result:
    """What the captures hold, by the packets' own time. CaptureError, DataError.

    `foreground`: a file of phone states. `on_alert`: called as alerts fire and resolve.

    Warnings about files that end early are in the result.
    """
    house = House(config, on_alert, local)
    reports: Sequence[Report] = ()
    if foreground is not None:
        called = {name: mac for mac, name in config.client_names.items()}
        reports = read_reports(foreground, called)
        house.pipeline.before_second = Reporter(list(reports), house.report).advance
    house.open()
    try:
        files = CaptureFiles(paths)
        for batch in files.batches(BATCH):
            house.pipeline.feed(batch)
            progress(files.stats.bytes_read, files.stats.total_bytes)
        house.pipeline.finish()
        return _result(house, files, paths, _misfits(foreground, reports, house, files.stats))
    finally:
        house.close()


def _misfits(foreground: Path | None, reports: Sequence[Report], house: House, seen: Stats) -> list[str]:
    """What would leave the rules about idle clients blind without anybody noticing."""
    if foreground is None:
        return []
    if not reports:
        return [f"{foreground}: no reports in it"]
    clients = {client.id for client in house.clients()}
    strangers = sorted({report.client for report in reports} - clients)
    found = []
    if clients and len(strangers) == len({report.client for report in reports}):
        found.append(f"{foreground}: none of its clients is in the capture ({', '.join(strangers[:3])})")
    if seen.last is not None and reports[0].received_at > seen.last:
        found.append(f"{foreground}: all its reports come after the capture")
    if seen.first is not None and reports[-1].received_at + house.rules.max_age < seen.first:
        found.append(f"{foreground}: all its reports are too old for the capture")
    return found


def _result(house: House, files: CaptureFiles, paths: Sequence[str], misfits: Sequence[str]) -> Result:
    stats = files.stats
    replayed = Replayed(
        tuple(paths), stats.frames, house.pipeline.headers.stats.undecodable, stats.first, stats.last,
        (*stats.warnings, *misfits),
    )  # fmt: skip
    clients = house.clients()
    return Result(
        replayed,
        clients,
        {client.id: house.brief_destinations(client.id) for client in clients},
        list(house.pipeline.names_seen),
        house.alerts(),
        house.sensor(),
        dict(house.pipeline.usage.sent),
    )
