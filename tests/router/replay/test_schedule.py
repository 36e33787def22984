"""A destination that has a time for it is compared each day, and what differs is told."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from simulation.by_hand import empty_town, event, say
from simulation.clock import START_MS
from simulation.world import Town

from router.pipeline import Pipeline
from router.replay.schedule import Daily

DAY_S = 86_400


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        systems = dict(town.district.systems)
        rule = systems["lms"].destination
        assert rule is not None
        systems["lms"] = replace(systems["lms"], destination=replace(rule, compare_at="03:00"))
        town.district = replace(town.district, systems=systems)
        town.loop.pass_time(3_600)
        yield town


def jobs(town: Town) -> list[tuple[str, str]]:
    return town.disk.rows("index.sqlite", "SELECT id, state FROM job")


def live(town: Town, days: int, *, lists: bool = True) -> None:
    """The router is down so many days, then up for some minutes."""
    town.loop.pass_time(days * DAY_S)

    async def look(pipeline: Pipeline) -> None:
        listed = {"lms": ("student",) if lists else ()}.__getitem__
        await Daily(pipeline.store, pipeline.jobs, town.district, listed, town.loop.now_ms).look()

    town.acts.append(look)
    assert town.live()


def test_it_begins_at_its_next_time_and_what_was_missed_is_done_once(town: Town) -> None:
    say(town, event("1", at_ms=START_MS, name="Ada", grade="9"))
    live(town, 0)
    assert jobs(town) == []
    live(town, 1)
    assert jobs(town) == [("compare.1", "done")]
    live(town, 0)
    assert jobs(town) == [("compare.1", "done")]
    live(town, 5)
    assert jobs(town) == [("compare.1", "done"), ("compare.2", "done")]


def test_one_that_cannot_list_is_left_alone(town: Town) -> None:
    live(town, 0, lists=False)
    live(town, 2, lists=False)

    assert jobs(town) == []
