"""Bytes that clients sent to destinations, by whether a person was using them, and where to while nobody was."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sensor.model.foreground import STATES, State

MAX_CLIENTS = 4_096
"""Clients told apart; what further ones send counts for "other"."""

MAX_PLACES = 10_000
"""(client, country) pairs told apart; what goes to further ones counts for ("other", None)."""

OTHER = "other"


class Usage:
    """Sums that never fall."""

    def __init__(self) -> None:
        self.sent: Counter[tuple[str, State]] = Counter()
        """(client id, state) -> bytes."""
        self.idle: Counter[tuple[str, str | None]] = Counter()
        """(client id, country; None: unknown) -> bytes sent in background."""
        self._clients: set[str] = set()

    def add(self, clients: Sequence[str], states: NDArray[np.int8], sent: NDArray[np.int64]) -> None:
        """One second: [n] client ids, their states, and what they sent."""
        for client, state, nbytes in zip(clients, states.tolist(), sent.tolist(), strict=True):
            if client not in self._clients:
                if len(self._clients) < MAX_CLIENTS:
                    self._clients.add(client)
                else:
                    client = OTHER  # noqa: PLW2901
            self.sent[client, STATES[state]] += nbytes

    def add_idle(self, client: str, country: str | None, sent: int) -> None:
        """What a client in background sent to a country."""
        key = client, country
        if key not in self.idle and len(self.idle) >= MAX_PLACES:
            key = OTHER, None
        self.idle[key] += sent
