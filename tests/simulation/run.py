"""Run seeds: `python tests/simulation/run.py --seeds 2000`, or one of them with its trace: `--seed 17`.

A run is its seed. What it finds, it prints with the seed and the end of the trace.
"""

import argparse
import sys
import time
import traceback
from pathlib import Path
from random import Random
from typing import NamedTuple

if __name__ == "__main__":  # run as a file: find the program beside it
    sys.path[:1] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]

from simulation.invariants import broken
from simulation.waiting import idp_first, no_seniors, waiting, watch
from simulation.world import Town

TURNS_MIN = 3
TURNS_MAX = 1500
LIVES_MAX = 6
NO_SENIORS = 0.5
DOWN_S = (0.0, 1.0, 30.0, 200.0, 4000.0, 100_000.0)


class Result(NamedTuple):
    """What one seed came to."""

    seed: object
    broken: list[str]
    trace: list[str]
    crashes: int
    sent_most: int
    """How often one version of one record was sent to one destination, at most."""


def simulate(seed: object, *, faults: float = 0.5, lives: int | None = None) -> Result:
    """Live and crash as the seed will have it, let it get quiet, and look whether all is as it should be."""
    town = Town(seed, faults=faults)
    town.district = idp_first(town.district)
    if (
        Random(f"seniors {seed}").random() < NO_SENIORS
    ):  # apart from the town's own chance: seeds stay what they are
        town.district = no_seniors(town.district)
    watch(town.fars)
    chance = town.chance
    crashes = 0
    try:
        try:
            for _ in range(chance.randint(0, LIVES_MAX) if lives is None else lives):
                crashes += _live_a_while(town)
            town.weather.calm = True
            if not town.live():
                raise AssertionError(f"it did not get quiet: {town.unquiet()}")
            problems = broken(town) or _again(town)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            problems = [line for leaf in leaves(error) for line in told(leaf)]
        sent = [count for far in town.fars.values() for count in far.sent.values()]
        return Result(seed, problems, town.trace.lines, crashes, max(sent, default=0))
    finally:
        town.close()


def leaves(error: BaseException) -> list[BaseException]:
    """The exceptions in a group, however deep."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in leaves(each)]
    return [error]


def told(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    where = [f"    {Path(frame.filename).name}:{frame.lineno} {frame.line}" for frame in frames]
    return [f"{type(error).__name__}: {error}", *where]


def _live_a_while(town: Town) -> bool:
    """A life that ends in a crash, or (now and then) in a stop. Then some time off."""
    chance = town.chance
    turns = int(TURNS_MIN * (TURNS_MAX / TURNS_MIN) ** chance.random())
    if chance.random() < 0.2:
        ended = town.live(until_quiet=False, stop_after_s=chance.choice((0.5, 60.0, 4000.0)))
    else:
        ended = town.live(turns=turns)
    if chance.random() < 0.3:
        town.strangers()
    town.loop.pass_time(chance.choice(DOWN_S))
    return not ended


def _again(town: Town) -> list[str]:
    """A start on what is settled already says and sends nothing."""
    before = {name: stream.last_seq for name, stream in town.server.streams.items()}
    sent = {name: sum(far.sent.values()) for name, far in town.fars.items()}
    town.live(until_quiet=False, stop_after_s=400.0)
    found = [
        f"a second start wrote to {name}"
        for name, stream in town.server.streams.items()
        # What waits too long is told once an hour, and by a new start at once.
        if stream.last_seq != before[name] and not (name == "ALERTS" and waiting(town))
    ]
    return found + [
        f"a second start sent to {name}"
        for name, far in town.fars.items()
        if sum(far.sent.values()) != sent[name]
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many")
    parser.add_argument("--start", type=int, default=1, help="the first")
    parser.add_argument("--seed", help="only this one, with its trace")
    parser.add_argument("--lines", type=int, default=60, help="how much of a trace")
    asked = parser.parse_args()
    seeds = [asked.seed] if asked.seed else range(asked.start, asked.start + asked.seeds)
    failed, started_s, crashes = [], time.monotonic(), 0
    for seed in seeds:
        result = simulate(seed)
        crashes += result.crashes
        if asked.seed or result.broken:
            print("\n".join(result.trace[-asked.lines :]))
        if result.broken:
            failed.append(seed)
            print(f"seed {seed}: broken:", *result.broken[:12], sep="\n  ")
    took_s = time.monotonic() - started_s
    print(f"{len(seeds)} seeds, {crashes} crashes, {len(failed)} broken, {took_s:.0f} s. {failed or ''}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
