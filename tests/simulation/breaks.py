"""Break the router on purpose, in a copy of it, and see which seed of the simulator finds it: `make breaks`.

What no seed finds is not guarded. The seed noted with a break is tried first; when it finds nothing any more,
the first seeds are, and the one that finds it belongs here.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
COPIED: Final = ("bus", "router", "adapters", "console", "tests/simulation")
SEEDS_MAX: Final = 60


class Break(NamedTuple):
    """`old` stands once in `file`, and becomes `new`. `seed` finds it."""

    means: str
    file: str
    old: str
    new: str
    seed: int


BREAKS: Final = (
    Break(
        "the outbox recovers nothing after a crash",
        "router/outbox.py",
        "self.hand_over([(id_, message) for id_, message in left if id_ not in there])",
        "self._clear.update(dict.fromkeys(id_ for id_, _ in left))",
        8,
    ),
    Break(
        "intake decides anew what stands on CHANGES",
        "router/intake.py",
        'first_seq = self._store.position("changes") + 1',
        "first_seq = 1 << 60",
        23,
    ),
    Break(
        "intake takes what comes again for news",
        "router/intake.py",
        'settled = max(self._store.position("events"), self._decided_seq)',
        "settled = 0",
        7,
    ),
    Break(
        "intake keeps its position before what it decided is committed",
        "router/intake.py",
        "        saved = batch.saved(published)\n",
        "        if fresh:\n"
        '            row = ("events", fresh[-1].seq)\n'
        '            await self._store.commit([self._store.write("save_positions", [row])])\n'
        "        saved = batch.saved(published)\n",
        22,
    ),
    Break(
        "a marker keeps its position before the records are marked",
        "router/delivery/marker.py",
        "        row = (self._system, self._now_ms(), self.seq + 1, upto, self._entities)\n",
        "        row = (self._system, self._now_ms(), self.seq + 1, upto, self._entities)\n"
        '        await self._store.commit([self._store.write("save_positions", [(self._position, upto)])])\n',
        2,
    ),
    Break(
        "a worker trusts the ledger after a send without an answer",
        "router/delivery/worker.py",
        "return claim.force or claim.key in self._sending.unanswered or claim.since_ms <= self._started_ms",
        "return claim.force",
        18,
    ),
    Break(
        "a worker believes a no of a system that wrote all the same",
        "router/delivery/worker.py",
        "return claim.record in self.failures or (unsure and record.rev > claim.held.rev + 1)",
        "return unsure and record.rev > claim.held.rev + 1",
        49,
    ),
    Break(
        "an older delivery settles a newer mark",
        "router/store.sql",
        "WHERE w.rev <= d.rev AND w.put = d.put",
        "WHERE w.put = d.put",
        20,
    ),
    Break(
        "a call that hangs is waited for without end",
        "router/delivery/sending.py",
        "async with asyncio.timeout(self._deadline_s):",
        "async with asyncio.timeout(None):",
        10,
    ),
    Break(
        "a Retry-After is not kept",
        "router/core/retry.py",
        "return min(asked_s, ASKED_MAX_S) if asked_s else backoff_s(attempt, jitter)",
        "return backoff_s(attempt, jitter)",
        7,
    ),
    Break(
        "a record is a dead letter after two attempts",
        "router/core/retry.py",
        "\nATTEMPTS_MAX: Final = 12",
        "\nATTEMPTS_MAX: Final = 2",
        1,
    ),
    Break(
        "nobody wakes what waits for another record",
        "router/delivery/order.py",
        "return self._awaited.waking(self._system, done)",
        "return []",
        1,
    ),
    Break(
        "a record does not wait for what it refers to",
        "router/delivery/order.py",
        '                waits[claim.key] = Wait(place, found, f"waits for {name}: it {why}")\n',
        "                pass\n",
        1,
    ),
    Break(
        "a source takes its rows for said before they are on the bus",
        "router/sources/publishing.py",
        "            if messages := [message for message in messages if message.id not in there]:\n",
        "            await shelf.commit([shelf.write(done, [(rows[-1][0],)])])\n"
        "            if messages := [message for message in messages if message.id not in there]:\n",
        8,
    ),
    Break(
        "a second router does not mind the lease of the first",
        "router/lock.py",
        'if said["holder"] != self._holder and said["until_ms"] > self._now_ms():',
        "if False:",
        1,
    ),
)


def broken_copy(each: Break, folder: Path) -> None:
    """The program and its simulator with that break, in a folder of their own."""
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / each.file
    path.write_text(path.read_text().replace(each.old, each.new))


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The copy's simulator."""
    return subprocess.run(
        [sys.executable, folder / "tests/simulation/run.py", *arguments],
        env={**os.environ, "PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def found_by(each: Break, *, seeds_max: int = SEEDS_MAX) -> int:
    """The seed that finds it: its own, or the first that does; 0: none."""
    with tempfile.TemporaryDirectory() as folder:
        broken_copy(each, Path(folder))
        return _first(Path(folder), each.seed, 1) or _first(Path(folder), 1, seeds_max)


def _first(folder: Path, start: int, seeds: int) -> int:
    result = run(folder, "--first", "--start", str(start), "--seeds", str(seeds))
    if result.returncode and not result.stdout:
        raise RuntimeError(f"the copy does not run: {result.stderr[-800:]}")
    return int(result.stdout.split()[0]) if result.stdout else 0


def main(breaks: Sequence[Break] = BREAKS) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--seeds", type=int, default=SEEDS_MAX, help="how many to try, where it takes a search"
    )
    asked = parser.parse_args()
    survived = 0
    for each in breaks:
        seed = found_by(each, seeds_max=asked.seeds)
        survived += not seed
        print(f"{f'seed {seed}' if seed else 'NOT FOUND':>10}  {each.means}", flush=True)
    print(f"{len(breaks)} breaks, {survived} not found")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
