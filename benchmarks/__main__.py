"""All figures, each beside its floor: `make bench`, or `python -m benchmarks [--json FILE] [NAME ...]`."""

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any

from benchmarks import bus, fanout, intake, merge, peers, replay, whole
from benchmarks.fanout import isolation

MEASURES = {
    "bus": bus.run,
    "merge": merge.run,
    "intake": intake.run,
    "whole": whole.run,
    "peers": peers.run,
    "fanout": fanout.run,
    "isolation": isolation.run,
    "replay": replay.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"which ({', '.join(MEASURES)}); all if none"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    given = parser.parse_args()
    if unknown := set(given.names) - MEASURES.keys():
        parser.error(f"no measure {', '.join(sorted(unknown))} (expected some of {', '.join(MEASURES)})")
    print(machine())
    rows = [row for name in given.names or MEASURES for row in MEASURES[name]()]
    for row in rows:
        print(line(row))
    if given.json:
        given.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=2) + "\n")


def line(row: dict[str, Any]) -> str:
    """One figure, its floor, and whether it misses it."""
    below = "  below floor" if row["below"] else ""
    figure = f"{row['name']:<36}{row['value']:>12,.1f} {row['unit']:<14} floor {row['floor']:,}{below}"
    return f"{figure}\n{'':<36}{row['of']:>12}" if row.get("of") else figure


def machine() -> str:
    """What it ran on: figures of two machines, or of a busy one, are not to be compared."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"Python {platform.python_version()}, {os.cpu_count()} cores, load before: {load}"


if __name__ == "__main__":
    main()
