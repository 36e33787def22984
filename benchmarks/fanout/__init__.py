"""What a delivery costs, and how that grows with the number of destinations: with 1, 10 and 40 of them, which
answer at once. And what a change costs for a destination that is not told of it.

The router has a process to itself with a nats-server of its own, every write is synced, every delivery is
audited. Measured is one field edited in each record, from the first event published until the last audit
record stands on the bus; so deciding what is true is in it.

    python -m benchmarks fanout
"""

import asyncio
import tempfile
from pathlib import Path
from typing import Any, Final

from benchmarks.fanout.district import NOBODY, events
from benchmarks.fanout.running import Running, Took, running
from bus.messages import Outcome

STUDENTS: Final = 10_000
DESTINATIONS: Final = (1, 10, 40)
MANY: Final = DESTINATIONS[-1]
FLOOR: Final = 30_000
MEMORY_FLOOR_MB: Final = 300.0
FILTERED_FLOOR_US: Final = 20.0

Row = dict[str, Any]


def run() -> list[Row]:
    """Measure; one row per figure. `floor` is the least for a rate, the most for a time or a size."""
    return [row for count in DESTINATIONS for row in _told(count)] + [_filtered()]


def _told(count: int) -> list[Row]:
    created, edited, memory_mb = asyncio.run(_measured(count, {}, Outcome.DELIVERED))
    deliveries = STUDENTS * count
    each_us = edited.cpu_s / deliveries * 1e6
    rate, floor = deliveries / edited.wall_s, FLOOR if count == MANY else 0
    memory_floor = MEMORY_FLOOR_MB if count == MANY else 0.0
    return [
        {
            "name": f"fanout: {_destinations(count)}",
            "value": rate,
            "unit": "deliveries/s",
            "floor": floor,
            "below": rate < floor,
            "of": f"{deliveries:,} deliveries, {each_us:.1f} us CPU each;"
            f" {deliveries / created.wall_s:,.0f}/s when all are new",
        },
        {
            "name": f"fanout: {_destinations(count)}, peak memory",
            "value": memory_mb,
            "unit": "MB",
            "floor": memory_floor,
            "below": memory_mb > memory_floor > 0,
        },
    ]


def _filtered() -> Row:
    """By the difference between one destination and many, so that intake is not in it."""
    one, few = (asyncio.run(_measured(n, {"when": NOBODY}, Outcome.FILTERED))[1] for n in (1, MANY))
    each_us = (few.cpu_s - one.cpu_s) / (STUDENTS * (MANY - 1)) * 1e6
    return {
        "name": "fanout: a change filtered out",
        "value": each_us,
        "unit": "us CPU",
        "floor": FILTERED_FLOOR_US,
        "below": each_us > FILTERED_FLOOR_US,
        "of": f"for each change and destination, {STUDENTS:,} changes",
    }


def _destinations(count: int) -> str:
    return "1 destination" if count == 1 else f"{count} destinations"


async def _measured(count: int, says: dict[str, Any], outcome: Outcome) -> tuple[Took, Took, float]:
    """All students made, and one field edited in each; and the router's peak memory in MB."""
    names = [f"to{number:02}" for number in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder), dict.fromkeys(names, says)) as router:
            created = await _turn(router, names, 0)
            edited = await _turn(router, names, 1)
            memory_mb = router.peak_mb
            audited = await router.audited(outcome)
    if audited != 2 * STUDENTS * count:
        raise RuntimeError(f"{audited:,} deliveries are audited as {outcome}, not {2 * STUDENTS * count:,}")
    return created, edited, memory_mb


async def _turn(router: Running, names: list[str], turn: int) -> Took:
    return await router.took(events(STUDENTS, turn), names, STUDENTS * (turn + 1))
