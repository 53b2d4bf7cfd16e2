"""A token bucket: so many at once, then one per interval."""


class RateLimit:
    """Says whether one more may happen; for log lines and other things the network can provoke."""

    def __init__(self, interval: int, burst: int = 1) -> None:
        """`burst` at once, then one per `interval` nanoseconds."""
        self.refused = 0
        """How many were, since the start."""
        self._interval = interval
        self._burst = burst
        self._tokens = burst
        self._since: int | None = None

    def allow(self, now: int) -> bool:
        """Takes a token where there is one. `now` in ns; a clock that is set back delays nothing."""
        self._refill(now)
        if self._tokens <= 0:
            self.refused += 1
            return False
        self._tokens -= 1
        return True

    def _refill(self, now: int) -> None:
        if self._since is None or now < self._since:
            self._since = now
            return
        fresh = (now - self._since) // self._interval
        self._tokens = min(self._burst, self._tokens + fresh)
        self._since += fresh * self._interval
