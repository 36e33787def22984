"""Ten destinations, of which one hangs, one fails and one takes a record a second: the others do not wait."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from simulation.answers import Adapter, keys, students, taken
from simulation.by_hand import empty_town, say
from simulation.world import Town

from bus.adapter import Delivery, Receipt
from bus.errors import Unavailable

GOOD = tuple(f"good{number}" for number in range(7))
BAD = ("fails", "hangs", "slow")
STUDENTS = 200
BATCH = 50
FOREVER_S = 1_000_000.0
ONE_S = 1.0


async def good(batch: Sequence[Delivery]) -> list[Receipt]:
    return taken(batch)


async def hangs(batch: Sequence[Delivery]) -> list[Receipt]:
    await asyncio.sleep(FOREVER_S)
    return []


async def fails(batch: Sequence[Delivery]) -> list[Receipt]:
    raise Unavailable("fails: 503")


async def slow(batch: Sequence[Delivery]) -> list[Receipt]:
    await asyncio.sleep(ONE_S * len(batch))
    return taken(batch)


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        sources = {name: each for name, each in town.district.systems.items() if each.source}
        lms = town.district.systems["lms"]
        ten = {name: replace(lms, name=name) for name in (*GOOD, *BAD)}
        town.district = replace(town.district, systems={**sources, **ten})
        town.fars = {}
        yield town


def waiting(town: Town) -> dict[str, int]:
    sql = "SELECT destination, count(*) FROM work GROUP BY destination"
    return dict(town.disk.rows("index.sqlite", sql))


def test_seven_are_done_before_three_that_hang_fail_or_are_slow_have_anything(town: Town) -> None:
    seven = [Adapter(town, good, batch_records_max=BATCH, system=name) for name in GOOD]
    for name, answer in zip(BAD, (fails, hangs, slow), strict=True):
        Adapter(town, answer, batch_records_max=BATCH, system=name)
    say(town, *students(STUDENTS))
    town.live(until_quiet=False, stop_after_s=10)

    assert [each.taken for each in seven] == [keys(STUDENTS)] * len(GOOD)
    assert waiting(town) == dict.fromkeys(BAD, STUDENTS)
