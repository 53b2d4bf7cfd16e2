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
    """Sums that never fall, but for those of clients that are forgotten: they go on in OTHER's."""

    def __init__(self) -> None:
        self.sent: Counter[tuple[str, State]] = Counter()
        """(client id, state) -> bytes."""
        self.idle: Counter[tuple[str, str | None]] = Counter()
        """(client id, country; None: unknown) -> bytes sent in background."""
        self._clients: set[str] = set()
        self._countries: dict[str, list[str | None]] = {}
        """Of the keys in `idle`, by client."""

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
        if key not in self.idle:
            self._countries.setdefault(key[0], []).append(key[1])
        self.idle[key] += sent

    def forget(self, client: str) -> None:
        """The client is not known any more: what it sent counts for OTHER, and its room is free."""
        self._clients.discard(client)
        for state in STATES:
            if (client, state) in self.sent:
                self.sent[OTHER, state] += self.sent.pop((client, state))
        for country in self._countries.pop(client, ()):
            sent = self.idle.pop((client, country))
            self.add_idle(OTHER, country, sent)
