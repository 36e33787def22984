"""Run seeds of three systems: `python tests/simulation/run_of_three.py --seeds 500`, or `--seed 7`."""

import argparse
import sys
import time
from pathlib import Path

if __name__ == "__main__":  # run as a file: find the program beside it
    sys.path[:1] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]

from simulation.agreement import disagreements
from simulation.run import DOWN_S, Result, leaves, told
from simulation.town_of_three import TownOfThree

LIVES_MAX = 6
TURNS_MIN = 30
TURNS_MAX = 6000
NIGHTS_AFTER = 8
DOWN_MAX_S = 6000.0


def simulate(seed: object, *, faults: float = 0.5, lives: int | None = None) -> Result:
    """Live and crash as the seed will have it, then let it get quiet, and look whether all agree."""
    town = TownOfThree(seed, faults=faults)
    town.is_drowsy = True
    crashes = 0
    try:
        try:
            for _ in range(town.chance.randint(0, LIVES_MAX) if lives is None else lives):
                crashes += _live_a_while(town)
            town.weather.calm = True
            _until_quiet(town)
            problems = disagreements(town)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            problems = [line for leaf in leaves(error) for line in told(leaf)]
        return Result(seed, problems, town.trace.lines, crashes, 0, town.weather.counts, town.choices.made)
    finally:
        town.close()


def _live_a_while(town: TownOfThree) -> bool:
    chance = town.chance
    ended = town.live(turns=int(TURNS_MIN * (TURNS_MAX / TURNS_MIN) ** chance.random()))
    if chance.random() < 0.3:
        town.old_news()
    town.loop.pass_time(chance.choice([s for s in DOWN_S if s <= DOWN_MAX_S]))
    return not ended


def _until_quiet(town: TownOfThree) -> None:
    """Nobody edits any more: nights pass, until everybody has said and taken up all."""
    for _ in range(NIGHTS_AFTER):
        if not town.live():
            raise AssertionError(f"it did not get quiet: {town.unquiet()}")
        town.loop.pass_time(3600.0)
        town.people.look_through()
        town.people.night()
    if not town.live():
        raise AssertionError(f"it did not get quiet: {town.unquiet()}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--start", type=int, default=1, help="the first")
    parser.add_argument("--seed", help="only this one, with its trace")
    parser.add_argument("--lines", type=int, default=60, help="how much of a trace")
    asked = parser.parse_args()
    seeds = [asked.seed] if asked.seed else range(asked.start, asked.start + asked.seeds)
    failed, started_s, crashes = [], time.monotonic(), 0
    for seed in seeds:
        result = simulate(seed)
        crashes += result.crashes
        if asked.seed:
            print("\n".join(result.trace[-asked.lines :]))
        if result.broken:
            failed.append(seed)
            print(f"seed {seed}: broken:", *result.broken[:12], sep="\n  ", flush=True)
    took_s = time.monotonic() - started_s
    print(f"{len(seeds)} seeds, {crashes} crashes, {len(failed)} broken, {took_s:.0f} s. {failed or ''}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
