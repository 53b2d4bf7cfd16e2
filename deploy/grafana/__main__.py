"""`python -m deploy.grafana`: writes the dashboards; with --check it says whether they are as written."""

import json
import sys
from pathlib import Path

from deploy.grafana.boards import alerts, client, overview, sensor

FOLDER = Path(__file__).with_name("dashboards")


def texts() -> dict[Path, str]:
    """File -> what is to stand in it."""
    boards = {"overview": overview, "client": client, "alerts": alerts, "sensor-health": sensor}
    return {
        FOLDER / f"{name}.json": json.dumps(board.build(), indent=2, ensure_ascii=False) + "\n"
        for name, board in boards.items()
    }


def main(words: list[str]) -> int:
    """0; with --check 1 where a file is not as it would be written."""
    stale = [path for path, text in texts().items() if not path.exists() or path.read_text() != text]
    for path in stale:
        if "--check" in words:
            sys.stderr.write(f"{path.name} is not what deploy/grafana would write: run `make dashboards`\n")
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(texts()[path])
    return 1 if stale and "--check" in words else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
