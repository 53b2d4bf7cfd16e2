"""`python -m tests.scenarios [FILE...]`: runs scenarios and prints what came; exit code 1 where something is wrong."""

import argparse
import sys
import tempfile
from pathlib import Path

from sensor.errors import SensorError
from tests.scenarios.form import load
from tests.scenarios.judge import Verdict, judge, table
from tests.scenarios.stage import run

HERE = Path(__file__).parent


def main() -> int:
    """0: all as expected; 1: not; 2: a file is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.scenarios", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="scenarios, or folders of them; none: all but quiet/")
    paths = files(parser.parse_args().files or [HERE / "alerts", HERE / "silent"])
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            try:
                scenario = load(path)
                for family in scenario.families:
                    outcome = run(scenario, family, path.stem, Path(folder))
                    verdicts.append(judge(f"{path.stem}/{family}", scenario, outcome))
            except SensorError as error:
                print(error, file=sys.stderr)
                return 2
    print(table(verdicts))
    for each in verdicts:
        for problem in (*each.problems, *(f"tolerated: {line}" for line in each.tolerated)):
            print(f"{each.name}: {problem}")
    return int(any(each.problems for each in verdicts))


def files(given: list[Path]) -> list[Path]:
    """The scenarios in folders, by name, and the files."""
    return [path for each in given for path in (sorted(each.glob("*.toml")) if each.is_dir() else [each])]


if __name__ == "__main__":
    sys.exit(main())
