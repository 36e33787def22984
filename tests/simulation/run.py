"""Run seeds: `python tests/simulation/run.py --seeds 2000`, or one of them with its trace: `--seed 17`.

A run is its seed. What it finds, it prints with the seed and the end of the trace.
"""

import argparse
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

if __name__ == "__main__":  # run as a file: find the program beside it
    sys.path[:1] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]

from simulation.choices import Plan
from simulation.invariants import broken
from simulation.mending import mend
from simulation.rivals import TAKES_OVER_S, Rivals
from simulation.school import names_in
from simulation.shrinking import Run, Shrinking, plan_in, written
from simulation.shrinking import told as told_of
from simulation.waiting import idp_first, no_seniors, waiting, watch
from simulation.weather import FAULTS
from simulation.world import Town

TURNS_MIN: Final = 3
TURNS_MAX: Final = 1500
LIVES_MAX: Final = 6
NO_SENIORS: Final = 0.5
DOWN_S: Final = (0.0, 1.0, 30.0, 200.0, 4000.0, 100_000.0)
STOPS_S: Final = (0.5, 60.0, 4000.0)
AGAIN_S: Final = 400.0
HAPPENS: Final = (
    *FAULTS,
    "crash",
    "stop",
    "two routers",
    "crash of one of two",
    "strangers",
    "breaker opens",
    "compare and repair",
    "reordered",
)
"""What must have happened in many seeds: else they prove less than they say."""


class Result(NamedTuple):
    """What one seed came to. `made`: all that went another way than usual."""

    seed: object
    broken: list[str]
    trace: list[str]
    crashes: int
    sent_most: int
    """How often one version of one record was sent to one destination, at most."""
    counts: Counter[str]
    """How often each thing has gone wrong."""
    made: Plan
    records: Sequence[str] = ()
    """All that the sources told of."""


def simulate(
    seed: object, *, faults: float = 0.5, lives: int | None = None, plan: Plan | None = None
) -> Result:
    """Live and crash as the seed (or a plan) will have it, let it get quiet, and look whether all is as it
    should be.
    """
    town = Town(seed, faults=faults, plan=plan)
    town.is_drowsy, town.readable = True, frozenset({"lms"})
    town.district = idp_first(town.district)
    if town.choices.of("town has no seniors", False, lambda chance: chance.random() < NO_SENIORS):
        town.district = no_seniors(town.district)
    watch(town.fars)
    try:
        try:
            for _ in range(LIVES_MAX if lives is None else lives):
                _live_a_while(town)
            town.weather.calm = True
            if any(far.missed for far in town.fars.values()):
                town.weather.counts["compare and repair"] += 1
                town.acts.append(partial(mend, town))
            if not town.live():
                raise AssertionError(f"it did not get quiet: {town.unquiet()}")
            problems = broken(town) or _again(town)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            problems = [line for leaf in leaves(error) for line in told(leaf)]
        sent = [count for far in town.fars.values() for count in far.sent.values()]
        counts = town.weather.counts
        counts["breaker opens"] += sum(
            stored.subject.startswith("alert.") and "destination-unreachable" in stored.subject
            for stored in town.server.streams["ALERTS"].history
        )
        counts["reordered"] += sum(name == "order" for name, _ in town.choices.made)
        return Result(
            seed,
            problems,
            town.trace.lines,
            counts["crash"],
            max(sent, default=0),
            counts,
            town.choices.made,
            names_in(town.scripts),
        )
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


def _live_a_while(town: Town) -> None:
    """A life that ends in a crash, or (now and then) in a stop. Then some time off."""
    choices, counts = town.choices, town.weather.counts
    life = choices.of("life", [], _a_life)
    if not life:
        return
    how, number = life
    if how == "stops":
        town.live(until_quiet=False, stop_after_s=number)
        counts["stop"] += 1
    elif how == "dies":
        if not town.live(turns=number):
            counts["crash"] += 1
            choices.amend("life", ["dies after", town.died_at])
    elif how == "dies after":
        name, nth, turns = number
        counts["crash"] += not town.live(dies_after=(name, nth, turns))
    elif how == "two":
        Rivals(town).live(stop_after_s=number + TAKES_OVER_S, dies_after_s=number)
    else:
        counts["crash"] += not Rivals(town).live(stop_after_s=600.0, dies_after_s=500.0, turns=number)
    if choices.of("strangers come", False, lambda chance: chance.random() < 0.3):
        town.strangers()
    town.loop.pass_time(choices.of("down", 0.0, lambda chance: chance.choice(DOWN_S)))


def _a_life(chance: Random) -> list[Any]:
    """How one ends, and after how many turns of the loop, or seconds. []: there is none."""
    turns = int(TURNS_MIN * (TURNS_MAX / TURNS_MIN) ** chance.random())
    stop_s, alone_s = chance.choice(STOPS_S), chance.uniform(1, 40)
    ends: list[list[Any]] = [[], ["dies", turns], ["stops", stop_s], ["two", alone_s], ["two die", turns]]
    return chance.choices(ends, (5, 8, 2, 0.7, 0.7))[0]


def _again(town: Town) -> list[str]:
    """A start on what is settled already says and sends nothing."""
    before = {name: stream.last_seq for name, stream in town.server.streams.items()}
    sent = {name: sum(far.sent.values()) for name, far in town.fars.items()}
    town.live(until_quiet=False, stop_after_s=AGAIN_S)
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


# -- many


def _told_of(seed: object) -> Result:
    """Without what is large, of a seed in which nothing is broken."""
    result = simulate(seed)
    return result if result.broken else result._replace(trace=[], made={})


def results(seeds: Iterable[object], processes: int) -> Iterator[Result]:
    """One after the other, or in some processes."""
    if processes == 1:
        yield from map(_told_of, seeds)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(_told_of, seeds, chunksize=5)


def many(seeds: range, processes: int) -> int:
    """Run them all; how many are broken, or a 1 if something never went wrong."""
    first: Result | None = None
    failed, counts, started_s = list[object](), Counter[str](), time.monotonic()
    for result in results(seeds, processes):
        counts += result.counts
        if result.broken:
            failed.append(result.seed)
            first = first or result
            print(f"seed {result.seed}: broken:", *result.broken[:12], sep="\n  ", flush=True)
    took_s = time.monotonic() - started_s
    if first:
        print("\n".join(smaller(first).trace))
    for what in HAPPENS:
        print(f"{counts[what]:8} x {what}")
    never = [what for what in HAPPENS if not counts[what]]
    if never:
        print(f"never happened, so nothing is known of it: {', '.join(never)}")
    print(
        f"{len(seeds)} seeds in {took_s:.0f} s, {len(seeds) / took_s:.1f} a second on {processes} cores.",
        end=" ",
    )
    print(f"{counts['crash']} crashes, {len(failed)} broken. {failed or ''}")
    return len(failed) or bool(never)


def first_broken(seeds: range) -> int:
    """Prints it."""
    for seed in seeds:
        if broken_so := simulate(seed).broken:
            print(seed, broken_so[0])
            return 1
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many")
    parser.add_argument("--start", type=int, default=1, help="the first")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="at once")
    parser.add_argument("--seed", help="only this one, with its trace")
    parser.add_argument("--plan", help="what does not go the usual way in it, as a smaller run was printed")
    parser.add_argument("--shrink", action="store_true", help="make it smaller, if it is broken")
    parser.add_argument("--first", action="store_true", help="only say which seed is the first broken one")
    parser.add_argument("--lines", type=int, default=200, help="how much of a trace")
    asked = parser.parse_args()
    if asked.first:
        return first_broken(range(asked.start, asked.start + asked.seeds))
    if not asked.seed:
        return 1 if many(range(asked.start, asked.start + asked.seeds), asked.processes) else 0
    result = simulate(asked.seed, plan=plan_in(asked.plan) if asked.plan else None)
    if result.broken and asked.shrink:
        result = smaller(result)
    print("\n".join(result.trace[-asked.lines :]))
    print(f"seed {asked.seed}:", *(result.broken[:12] or ["all is as it should be"]), sep="\n  ")
    return 1 if result.broken else 0


def smaller(result: Result) -> Result:
    """The same failure of a smaller run; says what is left of it, and how to run it again."""

    def run(plan: Plan) -> Run:
        found = simulate(result.seed, plan=plan)
        return Run(found.broken, found.records)

    plan = Shrinking(run, result.broken).smallest(result.made)
    print(f"seed {result.seed} goes the usual way, but for {len(plan)} of {len(result.made)} choices:")
    print(*told_of(plan), sep="\n")
    print(f"again: python tests/simulation/run.py --seed {result.seed} --plan '{written(plan)}'")
    return simulate(result.seed, plan=plan)


if __name__ == "__main__":
    sys.exit(main())
