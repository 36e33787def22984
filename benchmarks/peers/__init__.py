"""Beside peers: the same events to the same endpoints by FastStream, by a loop of one's own, and by us.

20,000 events of 350 bytes that stand on a stream, three endpoints on this machine that each get all of them
in a shape of its own, and a durable audit of each delivery. Every contender has a process and a server to
itself, one after the other. `sink` is the endpoints.

    python -m benchmarks peers
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from benchmarks.peers.sink import sink

EVENTS: Final = 20_000
ENDPOINTS: Final = 3
TIMES_FASTSTREAM: Final = 1.5
TIMES_HAND: Final = 0.85
TIMES_HAND_IN_BATCHES: Final = 3.0
CONTENDERS: Final = ("faststream_push", "faststream_pull", "by_hand", "yellowbus", "yellowbus_in_batches")

Row = dict[str, Any]


def run() -> list[Row]:
    """Measure; one row per contender, ours with the floors that the others set."""
    rates = {name: asyncio.run(_rate(name)) for name in CONTENDERS}
    fast, hand = max(rates["faststream_push"], rates["faststream_pull"]), rates["by_hand"]
    floors = {
        "yellowbus": max(TIMES_FASTSTREAM * fast, TIMES_HAND * hand),
        "yellowbus_in_batches": TIMES_HAND_IN_BATCHES * hand,
    }
    return [_row(name, rate, floors.get(name, 0.0)) for name, rate in rates.items()]


async def _rate(name: str) -> float:
    """Deliveries a second of one contender, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder, sink(ENDPOINTS) as ports:
        command = [sys.executable, "-m", f"benchmarks.peers.{name.removesuffix('_in_batches')}"]
        says = {"name": name, "folder": folder, "events": EVENTS, "ports": ports}
        process = await asyncio.create_subprocess_exec(
            *command, json.dumps(says), stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
        out, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"{name} ended with {process.returncode}")
        found = json.loads(out.splitlines()[-1])
    if found["received"] < EVENTS * ENDPOINTS or found["audited"] < EVENTS * ENDPOINTS:
        raise RuntimeError(f"{name}: not all was delivered and audited: {found}")
    return EVENTS * ENDPOINTS / float(found["took_s"])


def _row(name: str, rate: float, floor: float) -> Row:
    called = f"peers: {name.replace('_', ' ')}"
    return {"name": called, "value": rate, "unit": "deliveries/s", "floor": floor, "below": rate < floor}
