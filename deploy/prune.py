"""Make a folder of installed Python packages small: keep what Idlewire needs to run.

    python deploy/prune.py SITE_PACKAGES

Takes away distributions that nothing needed here requires (build tools are in the same lock file), tests of libraries,
C sources and headers, type stubs, and scripts. What is left is listed.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, DistributionFinder, MetadataPathFinder
from pathlib import Path

ROOT = "idlewire"
FOLDERS = {"tests", "test", "_pyinstaller", "include", "__pycache__", "f2py", "distutils"}
"""Names of folders inside of libraries that nothing imports at run time."""
SUFFIXES = {".c", ".h", ".pxd", ".pyx", ".pyi", ".a", ".pyc", ".hash"}
KEPT = {"maxminddb", "publicsuffixlist", "sensor"}
"""Packages of which no folder is taken away."""


def main() -> int:
    """The command."""
    [site] = [Path(each) for each in sys.argv[1:]] or [Path()]
    installed = {_name(each.metadata["Name"]): each for each in _distributions(site)}
    if ROOT not in installed:
        print(f"{site}: {ROOT} is not installed there", file=sys.stderr)
        return 1
    needed = _closure(installed)
    for name, distribution in installed.items():
        if name not in needed:
            _remove(site, distribution)
    for path in sorted(site.rglob("*")):
        if path.is_dir() and path.name in FOLDERS and path.relative_to(site).parts[0] not in KEPT:
            shutil.rmtree(path)
        elif path.is_file() and path.suffix in SUFFIXES:
            path.unlink()
    shutil.rmtree(site / "bin", ignore_errors=True)
    print("\n".join(f"{installed[name].metadata['Name']} {installed[name].version}" for name in sorted(needed)))
    return 0


def _distributions(site: Path) -> Iterator[Distribution]:
    return iter(MetadataPathFinder.find_distributions(DistributionFinder.Context(path=[str(site)])))


def _closure(installed: dict[str, Distribution]) -> set[str]:
    """What ROOT requires, directly or not, without extras. Markers have chosen already: what is installed counts."""
    needed: set[str] = set()
    asked = [ROOT]
    while asked:
        name = asked.pop()
        if name in needed or name not in installed:
            continue
        needed.add(name)
        wanted = (each for each in installed[name].requires or () if "extra ==" not in each)
        asked += [_name(re.split(r"[^\w.-]", each, maxsplit=1)[0]) for each in wanted]
    return needed


def _remove(site: Path, distribution: Distribution) -> None:
    tops = {Path(str(each)).parts[0] for each in distribution.files or ()} - {"..", "bin", "__pycache__"}
    for top in tops:
        path = site / top
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main())
