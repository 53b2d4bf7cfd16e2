"""Bytes that clients sent to destinations, by whether a person was using them."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sensor.model.foreground import STATES, State

MAX_CLIENTS = 4_096
"""Clients told apart; what further ones send counts for "other"."""

OTHER = "other"


class Usage:
    """Sums that never fall."""

    def __init__(self) -> None:
        self.sent: Counter[tuple[str, State]] = Counter()
        """(client id, state) -> bytes."""
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
