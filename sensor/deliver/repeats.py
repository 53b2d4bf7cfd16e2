"""When alerts that go on are told again to one program that would end them by itself."""

from collections.abc import Iterable

from sensor.deliver.notice import Json

MOST_AT_ONCE = 100
"""Alerts in one look; the others are due in the next."""
LOOKS = 20
"""Within the time after which an alert is told again."""


class Repeats:
    """One sink's; what was told before a restart is told again when it fires again, so nothing of it is kept."""

    def __init__(self, every: int) -> None:
        """`every`: ns."""
        self._every = every
        self._told: dict[str, int] = {}
        """Alert's id -> ns when it was told last, of those that are firing."""
        self._looked: int | None = None

    def due(self, firing: Iterable[Json], now: int, most: int = MOST_AT_ONCE) -> list[Json]:
        """Which of all that are firing are told again now. A clock that is set makes them due early, never late."""
        if self._looked is not None and 0 <= now - self._looked < self._every // LOOKS:
            return []
        self._looked = now
        alerts = {str(alert["id"]): alert for alert in firing}
        self._told = {identity: self._told.get(identity, now) for identity in alerts}
        found = [identity for identity, at in self._told.items() if not 0 <= now - at < self._every][: max(0, most)]
        self._told.update((identity, now) for identity in found)
        return [alerts[identity] for identity in found]
