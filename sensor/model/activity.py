"""What moved within one second of packet time, as `account` hands it to `detect`."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sensor.model.destination import Name, Place


@dataclass(slots=True, eq=False)
class Contact:
    """A client's row for one remote address, as detectors see it; the same object as long as the row lives."""

    row: int
    """Its row number; used again for another contact after this one was evicted."""
    client: str
    """The client's id."""
    client_address: bytes
    address: bytes
    place: Place
    names: list[Name] = field(default_factory=list)
    """Best first."""


@dataclass(slots=True)
class Activity:
    """`n` contacts that sent or received within the second that ends at `until`."""

    until: int
    """The end of the second, in ns."""
    rows: NDArray[np.int64]
    """[n] row numbers, ascending."""
    sent_bytes: NDArray[np.int64]
    received_bytes: NDArray[np.int64]
    sent_packets: NDArray[np.int64]
    received_packets: NDArray[np.int64]
    first_seen: NDArray[np.int64]
    """[n] ns of the first packet within the second."""
    last_seen: NDArray[np.int64]
    uploaded: NDArray[np.int64]
    """[n] bytes of payload sent for the first time: no headers, acknowledgements or retransmissions."""
    clients: NDArray[np.int64]
    """[n] numbers that stand for the contacts' clients."""
    states: NDArray[np.int8]
    """[n] whether a person uses the contact's client: a number of model.foreground.STATES."""
