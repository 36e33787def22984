"""Seven destinations beside three that nobody wants: one hangs, one fails, one takes a record a second.

The seven alone, and the seven beside the three, in turn, five times each: by their medians the seven keep
nine tenths of their throughput.

    python -m benchmarks isolation
"""

import asyncio
import statistics
import tempfile
from pathlib import Path
from typing import Any, Final

from benchmarks.fanout.district import events
from benchmarks.fanout.running import running

STUDENTS: Final = 3_000
RUNS: Final = 5
GOOD: Final = tuple(f"good{number}" for number in range(7))
BAD: Final = ("hangs", "fails", "slow")
FLOOR_PERCENT: Final = 90.0
DEADLINE: Final = "5s"
"""Of the bad three, so that the one that hangs is tried anew now and then."""

Row = dict[str, Any]


def run() -> list[Row]:
    """Measure; one row."""
    pairs = [(asyncio.run(_rate(())), asyncio.run(_rate(BAD))) for _ in range(RUNS)]
    alone, beside = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    kept = 100 * beside / alone
    return [
        {
            "name": "isolation: seven beside three bad",
            "value": kept,
            "unit": "% kept",
            "floor": FLOOR_PERCENT,
            "below": kept < FLOOR_PERCENT,
            "of": f"{beside:,.0f} deliveries/s against {alone:,.0f} alone, medians of {RUNS}",
        }
    ]


async def _rate(bad: tuple[str, ...]) -> float:
    """Deliveries a second of the good ones: all students made, and one field edited in each."""
    good: dict[str, dict[str, Any]] = {name: {} for name in GOOD}
    with tempfile.TemporaryDirectory() as folder:
        also = {name: {"is_": name, "deadline": DEADLINE} for name in bad}
        async with running(Path(folder), good | also) as router:
            took = [await router.took(events(STUDENTS, n), GOOD, STUDENTS * (n + 1)) for n in range(2)]
    return 2 * STUDENTS * len(GOOD) / sum(each.wall_s for each in took)
