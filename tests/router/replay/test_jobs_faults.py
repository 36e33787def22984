"""A job goes to its end whatever happens meanwhile: crashes anywhere, lost answers, a lying system."""

import json
from collections import Counter
from operator import itemgetter
from random import Random

import pytest
from simulation.by_hand import empty_town, event, say
from simulation.clock import START_MS
from simulation.invariants import audited, broken
from simulation.world import Town

from bus.messages import Op, Step
from router.pipeline import Pipeline
from router.services.replay import commands

STUDENTS = 25


def change(town: Town, chance: Random, count: int) -> None:
    """So many students change, or go."""
    for n in chance.sample(range(1, STUDENTS + 1), count):
        at_ms = town.loop.now_ms() - 1
        if chance.random() < 0.2:
            say(town, event(f"{n}", op=Op.DELETE, at_ms=at_ms))
        else:
            say(town, event(f"{n}", at_ms=at_ms, name=f"Ada {at_ms}", grade=chance.choice(["9", "10"])))


STORMS = (
    "far.lie",
    "far.hang_after",
    "far.silent",
    "far.down",
    "bus.lost",
    "bus.late",
    "bus.torn",
    "disk.full",
)


@pytest.mark.parametrize("seed", range(24))
def test_each_record_of_a_forced_replay_is_put_once_whatever_happens(seed: int) -> None:
    chance = Random(f"replay/{seed}")
    with empty_town() as town:
        town.loop.pass_time(3_600)
        say(town, *[event(f"{n}", at_ms=START_MS, name="Ada", grade="9") for n in range(1, STUDENTS + 1)])
        assert town.live()
        town.weather.rates |= dict.fromkeys(chance.sample(STORMS, 3), 0.05)
        rate = chance.choice((0, 1, 20))

        async def start(pipeline: Pipeline) -> None:
            if town.disk.rows("index.sqlite", "SELECT 1 FROM job"):
                return  # the one before died when it had said so
            [command] = [each for each in commands(pipeline, town.loop.now_ms) if each.what == "replay.start"]
            says = {"system": "lms", "from_ms": START_MS, "why": "x", "force": True, "rate_per_s": rate}
            await command.answer("ada", json.dumps(says).encode())

        while not town.disk.rows("index.sqlite", "SELECT 1 FROM job"):
            town.acts = [start]
            town.live(turns=chance.randint(200, 2_000))
        for _ in range(chance.randint(1, 6)):
            change(town, chance, 3)
            town.live(turns=chance.randint(50, 1_500))
        town.weather.calm = True
        while not (town.live() and ended(town)):
            pass

        [(put, total)] = town.disk.rows("index.sqlite", "SELECT put, total FROM job")
        puts = [each for each in map(itemgetter(0), audited(town).values()) if each.step is Step.PUT]
        assert put == total == len(puts) == STUDENTS
        assert set(Counter(each.key for each in puts).values()) == {1}
        assert broken(town, by_script=False) == []


def ended(town: Town) -> bool:
    return not town.disk.rows("index.sqlite", "SELECT 1 FROM job WHERE state = 'running'")
