"""Runs a program and tells what it took, from a small process of its own.

python measured.py OUTPUT SECONDS PROGRAM WORDS...     its standard output goes to the file OUTPUT
Prints JSON: exit code (124: it was too slow), CPU seconds, MB, last words on standard error. A child's peak memory
starts at that of the process that made it, so whoever measures must be smaller than what is measured.
"""

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class Measured(NamedTuple):
    """What one run took."""

    code: int
    cpu: float
    """Seconds, user and system, children included."""
    megabytes: float
    complaint: str


def measure(words: list[str], output: Path, *, folder: Path, timeout: float = 300) -> Measured:
    """Run it in `folder`."""
    launcher = [sys.executable, "-I", "-S", __file__, str(output), str(timeout), *words]
    done = subprocess.run(launcher, cwd=folder, stdout=subprocess.PIPE, check=True)
    return Measured(*json.loads(done.stdout))


def main(output: str, timeout: str, *words: str) -> None:
    with Path(output).open("wb") as out:
        try:
            done = subprocess.run(words, stdout=out, stderr=subprocess.PIPE, timeout=float(timeout), check=False)
            code, complaint = done.returncode, done.stderr
        except subprocess.TimeoutExpired as late:
            code, complaint = 124, late.stderr or b"too slow"
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    complained = complaint.decode(errors="replace")[-4000:]
    print(json.dumps([code, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, complained]))


if __name__ == "__main__":
    main(*sys.argv[1:])
