"""The preview of a replay: a window with 1,000,000 changes, by the index alone.

python -m benchmarks replay
"""

import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from router.core.jobs import Job, Kind
from router.database import Sqlite
from router.replay.finding import counted, members_of
from router.store import QUERIES, Store

CHANGES: Final = 1_000_000
COMMIT: Final = 500
PAGE: Final = 20_000
FLOOR_S: Final = 5.0

Row = dict[str, Any]


def run() -> list[Row]:
    """Measure; one row per figure."""
    return [asyncio.run(_preview(records)) for records in (50_000, CHANGES)]


async def _preview(records: int) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        async with Sqlite.open(Path(folder) / "index.sqlite", QUERIES["schema"]) as database:
            store = Store(database)
            await _fill(store, records)
            job = Job("", Kind.REPLAY, "lms", 0, CHANGES, 1, CHANGES, ("student",), "", True, 0, "", "", 0)
            begun_s, longest_s = time.perf_counter(), asyncio.ensure_future(_longest())
            members = await members_of(store, job)
            counts = await counted(store, job, members)
            took_s = time.perf_counter() - begun_s
            longest_s.cancel()
            await asyncio.wait([longest_s])
    assert counts.records == counts.send == records, counts
    return {
        "name": "replay: preview of a window",
        "value": took_s,
        "unit": "s",
        "floor": FLOOR_S,
        "below": took_s > FLOOR_S,
        "of": f"{CHANGES:,} changes and as many deliveries of {records:,} records; nobody waits for it longer"
        f" than {max(LONGEST) * 1000:.0f} ms",
    }


LONGEST: Final = [0.0]


async def _longest() -> None:
    """How long anything else has to wait meanwhile."""
    LONGEST[:] = [0.0]
    while True:
        begun_s = time.perf_counter()
        await asyncio.sleep(0)
        LONGEST[0] = max(LONGEST[0], time.perf_counter() - begun_s)


async def _fill(store: Store, records: int) -> None:
    """An index as it is after that many changes, all delivered."""
    write = store.write
    for first in range(1, records + 1, PAGE):
        numbers = range(first, min(first + PAGE, records + 1))
        rows = [(f"student/{n}", "student", 1, CHANGES + n, b"x" * 600) for n in numbers]
        held = [("lms", n, 1, 1, n, "0123456789abcdef01234567", "", 1) for n in numbers]
        await store.commit([write("save_records", rows), write("save_ledger", held)])
    for first in range(1, CHANGES + 1, PAGE):
        seqs = range(first, first + PAGE)
        changed = [(seq, f"student/{seq * 7_919 % records + 1}") for seq in seqs]
        ended = [
            ("lms", "student", seq, json.dumps([(seq + n) % records + 1 for n in range(COMMIT)]), "[]")
            for seq in range(first, first + PAGE, COMMIT)
        ]
        await store.commit([write("save_changed", changed), write("save_ended", ended)])
    await store.commit([write("save_positions", [("changes", 2 * CHANGES)])])
