"""Notices that this machine was suspended, or that its clock was set: what happened meanwhile was not seen."""

from sensor.base.times import SECOND

LONGEST = 60 * SECOND
"""ns between two looks, by any clock, beyond which something was missed."""


class Absence:
    """Compares clocks from one look to the next."""

    def __init__(self) -> None:
        self.noticed = 0
        """How often."""
        self._wall: int | None = None
        self._asleep = 0

    def look(self, wall: int, boot: int, monotonic: int) -> bool:
        """Whether something was missed since the last look; ns of CLOCK_REALTIME, CLOCK_BOOTTIME, CLOCK_MONOTONIC.

        Only the second goes on in a suspended machine; the first is also set by people and NTP.
        """
        asleep = boot - monotonic
        missed = self._wall is not None and (abs(wall - self._wall) > LONGEST or asleep - self._asleep > LONGEST)
        self._wall, self._asleep = wall, asleep
        self.noticed += missed
        return missed
