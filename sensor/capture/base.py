"""The seam between capture and the pipeline."""

from collections.abc import Iterator
from typing import Protocol

from sensor.model.frames import FrameBatch

BATCH_FRAMES = 8192
"""Frames that a batch holds unless told otherwise: enough to amortise numpy, few enough to stay in cache."""


class Source(Protocol):
    """Where frames come from."""

    def batches(self, frames: int = BATCH_FRAMES) -> Iterator[FrameBatch]:
        """Batches of 1 to `frames` frames in order of arrival; each is valid until the next is asked for.

        Raises `sensor.errors.CaptureError` with one line of text when frames cannot be had.
        """
        ...
