"""Quiet hours: "nobody uses this TV between 23:00 and 7:00". Only expected, not seen: reports count more."""

from dataclasses import dataclass

from sensor.base.fields import ClientRef
from sensor.base.hours import DAYS, LOCAL, Day, Hours, TimeOfDay, Zone, spans
from sensor.foreground.base import Source, SourceFacts
from sensor.foreground.standing import Known, Standing


@dataclass(frozen=True)
class Quiet:
    """One [[foreground.schedule.quiet]]."""

    clients: tuple[ClientRef, ...]
    from_: TimeOfDay
    to: TimeOfDay
    """On the next day, unless it is later than `from`; the same: a whole day."""
    days: tuple[Day, ...] = DAYS
    """Those on which it begins."""

    def __post_init__(self) -> None:
        """ValueError: for nobody, or on no day."""
        if not self.clients:
            raise ValueError("clients: expected at least one client")
        if not self.days:
            raise ValueError(f"days: expected at least one of {', '.join(DAYS)}")


@dataclass(frozen=True)
class Settings:
    """Keys of [foreground.schedule]."""

    enabled: bool = True
    timezone: Zone = Zone(LOCAL)  # noqa: RUF009
    quiet: tuple[Quiet, ...] = ()


class Schedule(Source):
    """Expects that nobody uses a client in its quiet hours, and nothing at other times."""

    settings_type = Settings

    def __init__(self, settings: Settings, facts: SourceFacts) -> None:
        super().__init__(settings, facts)
        self._zone = settings.timezone.info
        self._quiet: dict[str, list[Hours]] = {}
        for quiet in settings.quiet:
            for client in dict.fromkeys(map(str, quiet.clients)):
                self._quiet.setdefault(client, []).append(Hours(quiet.from_, quiet.to, quiet.days))

    def expected(self, client: str, now: int) -> tuple[Standing | None, int | None]:
        times = self._quiet.get(client)
        if times is None:
            return None, None
        ahead = sorted({span for hours in times for span in spans(hours, now, self._zone)})
        start, end = -1, now
        for first, last in ahead:
            if first <= end < last:
                start, end = first if start < 0 else start, last
        if start < 0:
            return None, next((first for first, _ in ahead if first > now), None)
        said = Standing(
            self.name, screen=Known(False, start), state="background", observed_at=start, since=start, until=end
        )
        return said, end


PLUGIN = Schedule
