"""What the process itself costs, beyond the usual process_ metrics."""

import resource
from collections.abc import Iterator

from prometheus_client.core import Metric

from sensor.deliver.families import counter

BLOCK = 512
"""Bytes that `ru_oublock` counts by (Linux: include/linux/task_io_accounting_ops.h)."""


def about_process() -> Iterator[Metric]:
    """Needs no right: /proc/self/io is closed to a process that changed its user."""
    blocks = resource.getrusage(resource.RUSAGE_SELF).ru_oublock
    yield counter("disk_written_bytes", "Bytes that went to disks for this process.", (), {(): blocks * BLOCK})
