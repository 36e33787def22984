"""A system that is down, shuts us out or rejects everything: one alert, everything waits and comes back."""

from collections.abc import Iterator, Sequence

import pytest
from simulation.answers import Adapter, attempts, keys, students, taken
from simulation.by_hand import alerts, empty_town, say
from simulation.invariants import broken
from simulation.world import Town

from bus.adapter import Delivery, Receipt
from bus.errors import Unavailable
from bus.messages import Outcome


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        town.loop.pass_time(3600)
        yield town


def no(batch: Sequence[Delivery]) -> list[Receipt]:
    return [Receipt(each.key, Outcome.FAILED, "422") for each in batch]


def test_a_long_outage_is_asked_one_record_at_a_time_and_uses_up_no_attempt(town: Town) -> None:
    up_at_s, seen = town.loop.time() + 7 * 3600, set[int]()

    async def down(batch: Sequence[Delivery]) -> list[Receipt]:
        seen.update(attempts(town))
        if town.loop.time() < up_at_s:
            raise Unavailable("lms: 503")
        return taken(batch)

    lms = Adapter(town, down)
    say(town, *students(200))

    assert town.live()
    probes = [batch for batch in lms.batches[3:] if len(batch) == 1]
    assert len(probes) > 20
    assert len({key for (key,) in probes}) > 1
    assert sum(len(batch) > 1 for batch in lms.batches) <= 3 + 5
    assert (lms.taken, seen) == (keys(200), {0})
    assert alerts(town) == ["destination-unreachable", "destination-back"]


def test_a_token_that_is_refused_opens_it_at_once(town: Town) -> None:
    async def shut_out(batch: Sequence[Delivery]) -> list[Receipt]:
        if len(lms.batches) <= 4:
            raise Unavailable("lms: 401: the token was refused", runbook="token-refused")
        return taken(batch)

    lms = Adapter(town, shut_out)
    say(town, *students(60))

    assert town.live()
    assert [len(batch) for batch in lms.batches[1:4]] == [1, 1, 1]
    assert lms.taken == keys(60)
    assert alerts(town) == ["token-refused", "destination-back"]


def test_a_system_that_rejects_everything_makes_no_dead_letters_for_good(town: Town) -> None:
    """The first calls carry too few to tell, so that these are dead letters, until it is seen."""
    bad_until_s = town.loop.time() + 1800

    async def reject(batch: Sequence[Delivery]) -> list[Receipt]:
        return no(batch) if town.loop.time() < bad_until_s else taken(batch)

    lms = Adapter(town, reject, batch_records_max=8)
    say(town, *students(100))

    assert town.live()
    assert lms.taken == keys(100)
    assert len(town.server.streams["DEAD"].history) == 16
    assert town.disk.rows("index.sqlite", "SELECT * FROM failure") == []
    assert [kind for kind in alerts(town) if kind != "dead-letters"] == ["rejecting", "destination-back"]


def test_many_bad_records_at_once_are_dead_letters_when_others_go(town: Town) -> None:
    bad = {f"student/{number}" for number in range(1, 31)}

    async def some(batch: Sequence[Delivery]) -> list[Receipt]:
        return [receipt for each in batch for receipt in (no([each]) if each.key in bad else taken([each]))]

    lms = Adapter(town, some)
    say(town, *students(60))

    assert town.live()
    assert lms.taken == keys(60) - bad
    assert town.disk.rows("index.sqlite", "SELECT count(*) FROM failure") == [(30,)]
    assert town.disk.rows("index.sqlite", "SELECT * FROM work WHERE destination = 'lms'") == []


def test_one_record_that_brings_the_system_down_does_not_keep_the_breaker_open(town: Town) -> None:
    async def falls_over(batch: Sequence[Delivery]) -> list[Receipt]:
        if any(each.key == "student/1" for each in batch):
            raise Unavailable("lms: 500")
        return taken(batch)

    lms = Adapter(town, falls_over)
    say(town, *students(30))
    town.live(until_quiet=False, stop_after_s=7200)

    assert lms.taken == keys(30) - {"student/1"}


def test_a_blip_wakes_nobody(town: Town) -> None:
    async def blip(batch: Sequence[Delivery]) -> list[Receipt]:
        if len(lms.batches) <= 2:
            raise Unavailable("lms: 503")
        return taken(batch)

    lms = Adapter(town, blip)
    say(town, *students(5))

    assert town.live()
    assert lms.taken == keys(5)
    assert alerts(town) == []
    assert broken(town, by_script=False) == []


def test_what_the_system_asks_for_is_kept(town: Town) -> None:
    at_s: list[float] = []

    async def busy(batch: Sequence[Delivery]) -> list[Receipt]:
        at_s.append(town.loop.time())
        if len(at_s) == 1:
            raise Unavailable("lms: 429", retry_after_s=120)
        return taken(batch)

    Adapter(town, busy)
    say(town, *students(1))

    assert town.live()
    assert at_s[1] - at_s[0] == pytest.approx(120, abs=1.1)
