"""`make bench`: CPU per packet, drops, memory and latency against peers, as ratios. Needs root for the live part.

python -m tests.bench [--only BLOCK]... [--skip BLOCK]... [--packets N] [--runs N]
Blocks: files, live, forwarding, latency, memory. The exit code is 1 where a budget was missed.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import live
import peers
from imix import mix
from lab import missing
from verdict import Verdicts

BUILD = Path(__file__).resolve().parents[2] / "build" / "bench"

BLOCKS = {
    "files": "a capture file of an IMIX, beside softflowd, nfstream, tshark and scapy",
    "live": "100,000 small frames/s for 10 s: CPU per packet, drops",
    "forwarding": "what the sensor takes away from forwarding at full speed, beside softflowd",
    "latency": "first packet to a watched place -> webhook",
    "memory": "250 clients and 20,000 active flows, and a scrape; a flood of a million addresses",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Budgets of DESIGN.md section 6.")
    parser.add_argument("--only", action="append", choices=BLOCKS, help="run only this block (repeatable)")
    parser.add_argument("--skip", action="append", choices=BLOCKS, default=[], help="leave out this block (repeatable)")
    parser.add_argument("--packets", type=int, default=5_000_000, help="size of the capture file")
    parser.add_argument("--runs", type=int, default=5, help="interleaved runs per tool")
    parser.add_argument("--folder", type=Path, default=BUILD, help="where files are kept")
    options = parser.parse_args()
    blocks = [block for block in BLOCKS if block in (options.only or BLOCKS) and block not in options.skip]
    verdicts = Verdicts()
    reason = missing()
    for block in blocks:
        print(f"\n== {block}: {BLOCKS[block]}", flush=True)
        began = time.monotonic()
        if block == "files":
            peers.bench(mix(options.folder, options.packets), verdicts, runs=options.runs)
        elif reason:
            print(f"skipped: {reason}")
        else:
            getattr(live, block)(verdicts)
        print(f"   ({time.monotonic() - began:.0f} s)")
    print(f"\n{'all budgets met' if not verdicts.failed else 'missed: ' + '; '.join(verdicts.failed)}")
    return 1 if verdicts.failed else 0


if __name__ == "__main__":
    sys.exit(main())
