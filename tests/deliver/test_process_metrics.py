"""What the process wrote."""

import os

from sensor.deliver.process_metrics import about_process


def written() -> float:
    [family] = about_process()
    [sample] = family.samples
    assert sample.name == "idlewire_disk_written_bytes_total"
    return sample.value


def test_what_was_written_counts(tmp_path):
    before = written()
    with (tmp_path / "file").open("wb") as file:
        file.write(bytes(1_000_000))
        file.flush()
        os.fsync(file.fileno())
    # On a file system in memory nothing reaches a disk.
    assert written() - before in (0, *range(1_000_000, 1_200_000))
