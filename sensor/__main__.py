"""`python -m sensor` is the `idlewire` command."""

import sys

from sensor.cli import main

if __name__ == "__main__":
    sys.exit(main())
