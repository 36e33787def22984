"""Alerts of a destination: each trouble is told, and none of them again and again."""

from collections.abc import Iterator, Sequence

import pytest
from simulation.answers import Adapter, attempts, gone, students, taken
from simulation.by_hand import alerts, empty_town, event, say
from simulation.clock import START_MS
from simulation.world import Town

from bus.adapter import Delivery, Receipt
from bus.errors import Unavailable
from bus.messages import Op, Outcome
from router.delivery.worker import HELD_S


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        town.loop.pass_time(3600)
        yield town


# -- removals that a guard there holds


class Guarded:
    """It holds removals until `approved`."""

    def __init__(self, town: Town) -> None:
        self.approved = False
        self.town = town
        self.lms = Adapter(town, self.answer)
        self.said: list[str] = []

    async def answer(self, batch: Sequence[Delivery]) -> list[Receipt]:
        holds = not self.approved
        return [
            Receipt(each.key, Outcome.HELD if holds and each.op is Op.DELETE else Outcome.DELIVERED, "wait")
            for each in batch
        ]

    def look(self) -> None:
        """Keep what the worker says of held removals now."""
        assert self.town.pipeline
        self.said.append(self.town.pipeline.workers["lms"].alarms.held)


def test_removals_that_are_held_are_told_once_and_use_up_no_attempt(town: Town) -> None:
    guard, loop = Guarded(town), town.loop
    say(town, *students(4))
    assert town.live()
    say(town, gone("1"), gone("2"))
    loop.call_later(600, lambda: say(town, gone("3")))
    for at_s in (100, 1500):
        loop.call_later(at_s, guard.look)
    tried: set[int] = set()
    loop.call_later(1500, lambda: tried.update(attempts(town)))
    loop.call_later(1600, lambda: setattr(guard, "approved", True))
    loop.call_later(1600 + 3 * HELD_S, guard.look)
    town.live(until_quiet=False, stop_after_s=1600 + 4 * HELD_S)

    assert guard.said == ["wait", "wait", ""]
    assert tried == {0}
    assert alerts(town) == ["held-removals"]
    assert town.disk.rows("index.sqlite", "SELECT * FROM work") == []
    assert town.server.streams["DEAD"].history == []


def test_what_is_held_is_said_as_long_as_one_is(town: Town) -> None:
    guard, loop = Guarded(town), town.loop
    say(town, *students(2))
    assert town.live()
    say(town, gone("1"))
    # The other one goes while it is held; then it comes back, so that nothing is left to remove.
    loop.call_later(100, lambda: say(town, event("2", name="Bea", grade="9", at_ms=START_MS + 2)))
    loop.call_later(200, guard.look)
    loop.call_later(250, lambda: say(town, event("1", name="Ada", grade="10", at_ms=START_MS + 3)))
    loop.call_later(300, guard.look)
    town.live(until_quiet=False, stop_after_s=310)

    assert guard.said == ["wait", ""]


# -- alerts


async def rejected(batch: Sequence[Delivery]) -> list[Receipt]:
    return [Receipt(each.key, Outcome.FAILED, "422") for each in batch]


async def one_in_ten(batch: Sequence[Delivery]) -> list[Receipt]:
    """It says no to every tenth."""
    ends = {True: Outcome.FAILED, False: Outcome.DELIVERED}
    return [Receipt(each.key, ends[each.key.endswith("0")], "422") for each in batch]


def test_many_dead_letters_make_one_alert_within_the_hour(town: Town) -> None:
    lms = Adapter(town, one_in_ten, batch_records_max=7)
    say(town, *students(300))

    assert town.live()
    assert len(lms.batches) >= 40
    assert len(town.server.streams["DEAD"].history) == 30
    assert alerts(town) == ["dead-letters"]


def test_dead_letters_an_hour_later_are_told_again(town: Town) -> None:
    Adapter(town, rejected)
    say(town, *students(1))
    town.loop.call_later(3700, lambda: say(town, event("2", name="Bea", grade="9")))
    town.live(until_quiet=False, stop_after_s=3800)

    assert alerts(town) == ["dead-letters", "dead-letters"]


def test_dead_letters_whose_alert_the_disk_did_not_take_are_told_all_the_same(town: Town) -> None:
    async def full_once(batch: Sequence[Delivery]) -> list[Receipt]:
        town.weather.rates["disk.full"] = 1.0 if len(lms.batches) == 1 else 0.0
        town.loop.call_later(1, lambda: town.weather.rates.update({"disk.full": 0.0}))
        return await rejected(batch)

    lms = Adapter(town, full_once)
    say(town, *students(1))

    assert town.live()
    assert len(lms.batches) == 2
    assert alerts(town) == ["dead-letters"]


def test_an_outage_whose_alert_the_disk_did_not_take_is_told_all_the_same(town: Town) -> None:
    up_at_s = town.loop.time() + 900

    async def down(batch: Sequence[Delivery]) -> list[Receipt]:
        town.weather.rates["disk.full"] = 1.0 if len(lms.batches) == 1 else 0.0
        town.loop.call_later(1, lambda: town.weather.rates.update({"disk.full": 0.0}))
        if town.loop.time() < up_at_s:
            raise Unavailable("lms: 503")
        return taken(batch)

    lms = Adapter(town, down)
    say(town, *students(1))

    assert town.live()
    assert alerts(town) == ["destination-unreachable", "destination-back"]


def test_an_outage_soon_after_another_is_told_when_it_lasts(town: Town) -> None:
    spells = [(0, 60), (600, 9_000)]
    began_s = town.loop.time()

    async def down(batch: Sequence[Delivery]) -> list[Receipt]:
        if any(start <= town.loop.time() - began_s < end for start, end in spells):
            raise Unavailable("lms: 503")
        return taken(batch)

    Adapter(town, down)
    say(town, *students(1))
    town.loop.call_later(700, lambda: say(town, event("2", name="Bea", grade="9")))
    town.live(until_quiet=False, stop_after_s=9_500)

    assert alerts(town) == ["destination-unreachable", "destination-back"] * 2
