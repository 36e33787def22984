"""A person pauses a destination while all goes wrong that may: nothing is sent there until it is over."""

import contextlib
from functools import partial
from random import Random

import pytest
from simulation.clock import START_MS
from simulation.invariants import broken
from simulation.mending import mend
from simulation.waiting import idp_first, watch
from simulation.world import Act, Town

from bus.errors import BusError, StreamFull, Unavailable
from router.pipeline import Pipeline

LIVES = 3
ON_ITS_WAY_S = 0.05
"""What had been taken up when the pause began still goes."""


class Pausing:
    """Pauses and resumes destinations, at random; notes from when until when which is paused."""

    def __init__(self, town: Town, chance: Random) -> None:
        self._town = town
        self._chance = chance
        self.paused: list[tuple[str, float, float]] = []

    def act(self) -> Act:
        system, for_s = (
            self._chance.choice(sorted(self._town.fars)),
            self._chance.choice((20.0, 600.0, 9000.0)),
        )
        resumes = self._chance.random() < 0.3

        async def act(pipeline: Pipeline) -> None:
            with contextlib.suppress(
                Unavailable, StreamFull, BusError
            ):  # the disk is full, or it is not paused
                if resumes:
                    self._ends(system)
                    await pipeline.pauses.resume(system, "kim", "it is up")
                else:
                    await self._pause(pipeline, system, for_s)

        return act

    async def _pause(self, pipeline: Pipeline, system: str, for_s: float) -> None:
        until_ms = self._town.loop.now_ms() + int(for_s * 1000)
        await pipeline.pauses.pause(system, until_ms, "ada", "upgrade")
        self._ends(system)
        until_s = (until_ms - START_MS) / 1000
        self.paused.append((system, self._town.loop.time(), until_s))

    def _ends(self, system: str) -> None:
        """It is paused anew, or may not be any more."""
        now_s = self._town.loop.time()
        self.paused = [
            (name, since_s, min(until_s, now_s) if name == system else until_s)
            for name, since_s, until_s in self.paused
        ]


def sent(town: Town) -> list[tuple[str, float]]:
    """To which destination something was sent, and when."""
    words = [line.split() for line in town.trace.lines]
    return [(each[3], float(each[0])) for each in words if len(each) > 3 and each[2] == "apply"]


@pytest.mark.parametrize("seed", range(1, 9))
def test_nothing_is_sent_to_what_is_paused_and_all_is_right_afterwards(seed: int) -> None:
    with contextlib.closing(Town(f"paused {seed}", faults=0.5)) as town:
        town.is_drowsy, town.readable = True, frozenset({"lms"})
        town.district = idp_first(town.district)
        watch(town.fars)
        chance = Random(f"pausing {seed}")
        pausing = Pausing(town, chance)
        for _ in range(LIVES):
            hours = chance.choice((0.1, 0.5, 2.0))
            town.live(until_quiet=False, stop_after_s=hours * 3600, doing=pausing.act())
            town.loop.pass_time(chance.choice((0.0, 60.0)))
        town.weather.calm = True
        if any(far.missed for far in town.fars.values()):
            town.acts.append(partial(mend, town))
        assert town.live()

        wrong = [
            (far, at_s)
            for far, at_s in sent(town)
            for system, since_s, until_s in pausing.paused
            if far == system and since_s + ON_ITS_WAY_S < at_s < until_s
        ]
        assert wrong == []
        assert broken(town) == []
