"""Destinations that are slow, half broken or in doubt: no good record is buried."""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import pairwise

import pytest
from simulation.answers import Adapter, attempts, gone, keys, students, taken
from simulation.by_hand import alerts, empty_town, event, say, told
from simulation.invariants import broken
from simulation.world import Town

from bus.adapter import Delivery, Receipt
from bus.errors import StreamFull, Unavailable
from bus.messages import Op, Outcome
from bus.port import Message
from router.core.retry import ASKED_MAX_S, ATTEMPTS_MAX
from router.delivery import worker as worker_module
from router.store import QUERIES

DAY_S = 86_400.0


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        town.loop.pass_time(3600)
        yield town


# -- records whose turn it never was


def test_records_that_were_never_tried_use_up_no_attempt_and_all_arrive(town: Town) -> None:
    seen: set[int] = set()

    async def two_at_a_time(batch: Sequence[Delivery]) -> list[Receipt]:
        seen.update(attempts(town))
        most = 2 if len(lms.batches) <= 20 else len(batch)
        rest = [Receipt(each.key, Outcome.RETRYING, "503", tried=False) for each in batch[most:]]
        return taken(batch[:most]) + rest

    lms = Adapter(town, two_at_a_time)
    say(town, *students(80))

    assert town.live()
    assert len(lms.batches) > 20 > ATTEMPTS_MAX
    assert lms.taken == keys(80)
    assert town.server.streams["DEAD"].history == []
    assert seen == {0}
    assert broken(town, by_script=False) == []


def test_a_record_at_its_last_attempt_is_not_buried_by_calls_that_never_tried_it(town: Town) -> None:
    async def busy_then_down(batch: Sequence[Delivery]) -> list[Receipt]:
        calls = len(lms.batches)
        tried = calls < ATTEMPTS_MAX
        if calls > 2 * ATTEMPTS_MAX:
            return taken(batch)
        return [Receipt(each.key, Outcome.RETRYING, "429", tried=tried) for each in batch]

    lms = Adapter(town, busy_then_down)
    say(town, *students(1))

    assert town.live()
    assert lms.taken == keys(1)
    assert told(town, "lms/student/1@1.1").attempt == ATTEMPTS_MAX


# -- records that may be there or not


def test_a_record_whose_answer_was_lost_stays_in_doubt_when_it_is_put_off_next(town: Town) -> None:
    there: list[Op] = []

    async def lost_then_busy(batch: Sequence[Delivery]) -> list[Receipt]:
        [delivery] = batch
        if len(lms.batches) == 2:
            town.loop.call_later(10, lambda: say(town, gone("1")))
            return [Receipt(delivery.key, Outcome.RETRYING, "429", retry_after_s=60)]
        there.append(delivery.op)
        if len(lms.batches) == 1:
            raise Unavailable("lms: the answer was lost")
        return taken(batch)

    lms = Adapter(town, lost_then_busy)
    town.loop.call_later(10, lambda: say(town, *students(1)))
    town.live(until_quiet=False, stop_after_s=600)

    assert there == [Op.UPDATE, Op.DELETE]


# -- a key that cannot stand in a header


def test_a_key_with_a_line_break_is_settled_and_stands_in_no_message_id(town: Town) -> None:
    say(town, event("a\nb", name="Ada", grade="9"))

    assert town.live()
    assert told(town, "lms/student/a\nb@1.1").outcome is Outcome.DELIVERED
    assert told(town, "event/1").outcome is Outcome.ACCEPTED
    ids = [stored.id for stream in town.server.streams.values() for stored in stream.history]
    assert [id_ for id_ in ids if "student/" in id_ or "\n" in id_] == []


def test_no_id_of_a_dead_letter_or_of_a_link_has_the_key(town: Town) -> None:
    async def no(batch: Sequence[Delivery]) -> list[Receipt]:
        return [Receipt(each.key, Outcome.FAILED, "422", local_id="own-7") for each in batch]

    Adapter(town, no)
    say(town, event("a\nb", name="Ada", grade="9"))

    assert town.live()
    letters, links = town.server.streams["DEAD"].history, town.server.streams["STATE"].history
    assert letters
    assert links
    assert [stored.id for stored in [*letters, *links] if "a\nb" in stored.id] == []
    assert "a\nb" not in told(town, "lms/student/a\nb@1.1").id


# -- slow


def slow_until(town: Town, calls: int, per_record_s: float) -> Adapter:
    """It is away for a minute, so that all stand on its list; then it is slow, then mended."""
    away_until_s = town.loop.time() + 60

    async def slow(batch: Sequence[Delivery]) -> list[Receipt]:
        if town.loop.time() < away_until_s:
            lms.batches.pop()
            raise Unavailable("lms: 503")
        if len(lms.batches) <= calls:
            await asyncio.sleep(per_record_s * len(batch))
        return taken(batch)

    lms = Adapter(town, slow)
    return lms


def test_a_slow_destination_is_given_less_until_it_is_in_time_and_then_more_again(town: Town) -> None:
    lms = slow_until(town, calls=4, per_record_s=40.0)
    say(town, *students(300))

    assert town.live()
    assert [len(batch) for batch in lms.batches][:10] == [1, 50, 25, 12, 1, 6, 12, 24, 48, 50]
    assert lms.taken == keys(300)
    assert town.server.streams["DEAD"].history == []


def test_a_few_records_in_time_say_nothing_of_many(town: Town) -> None:
    lms = slow_until(town, calls=1_000, per_record_s=50.0)
    say(town, *students(8))
    for later in students(12)[8:]:
        town.loop.call_later(5_000 + 100 * int(later.local_id), partial(say, town, later))
    town.loop.call_later(9_000, lambda: say(town, *students(60)[12:]))
    town.live(until_quiet=False, stop_after_s=60_000)

    assert lms.taken == keys(60)
    assert max(len(batch) for batch in lms.batches) == 8


def test_a_destination_that_is_in_time_now_and_then_is_told_once_an_hour(town: Town) -> None:
    slow_until(town, calls=1_000, per_record_s=40.0)
    say(town, *students(300))
    town.live(until_quiet=False, stop_after_s=3 * 3_600)

    assert 2 <= len(alerts(town)) <= 3


def test_a_record_on_which_the_adapter_hangs_lets_the_others_pass(town: Town) -> None:
    async def hang(batch: Sequence[Delivery]) -> list[Receipt]:
        if any(each.key == "student/1" for each in batch):
            await asyncio.sleep(DAY_S)
        return taken(batch)

    lms = Adapter(town, hang)
    say(town, *students(20))
    town.live(until_quiet=False, stop_after_s=DAY_S / 4)

    assert lms.taken == keys(20) - {"student/1"}
    assert town.server.streams["DEAD"].history == []


# -- what is asked for, and a stop


def test_a_destination_that_asks_for_a_day_is_asked_again_after_an_hour(town: Town) -> None:
    at_s: list[float] = []

    async def come_tomorrow(batch: Sequence[Delivery]) -> list[Receipt]:
        at_s.append(town.loop.time())
        if len(at_s) == 1:
            raise Unavailable("lms: 429", retry_after_s=DAY_S)
        if len(at_s) == 2:
            return [Receipt(each.key, Outcome.RETRYING, "429", retry_after_s=DAY_S) for each in batch]
        return taken(batch)

    Adapter(town, come_tomorrow)
    say(town, *students(1))

    assert town.live()
    waits_s = [later - before for before, later in pairwise(at_s)]
    assert waits_s == pytest.approx([ASKED_MAX_S, ASKED_MAX_S], abs=2)


def test_a_stop_does_not_wait_for_the_back_off_of_a_destination_that_is_down(town: Town) -> None:
    async def down(batch: Sequence[Delivery]) -> list[Receipt]:
        raise Unavailable("lms: 503", retry_after_s=3_000)

    lms = Adapter(town, down)
    say(town, *students(3))
    began_s = town.loop.time()
    town.live(until_quiet=False, stop_after_s=30)

    assert lms.batches
    assert town.loop.time() - began_s < 33


# -- the bus does not take what we have to say


def test_while_the_bus_takes_nothing_nobody_goes_on_delivering(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "OUTBOX_MAX", 3)
    store, full_until_s = town.server.store, town.loop.time() + 600

    def full(stream: str, messages: Sequence[Message], *, atomic: bool) -> list[int]:
        if stream == "AUDIT" and town.loop.time() < full_until_s:
            raise StreamFull("AUDIT: no room")
        return store(stream, messages, atomic=atomic)

    async def take(batch: Sequence[Delivery]) -> list[Receipt]:
        return taken(batch)

    town.server.store = full  # type: ignore[method-assign]
    lms = Adapter(town, take, batch_records_max=5)
    meanwhile: list[int] = []
    town.loop.call_later(500, lambda: meanwhile.append(len(lms.batches)))
    say(town, *students(200))

    assert town.live()
    assert meanwhile[0] <= 4
    assert lms.taken == keys(200)


# -- the work list


@pytest.mark.parametrize(
    ("query", "values", "index"),
    [("claim_work", ("lms", 1, 1, 1000), "PRIMARY KEY"), ("next_due", ("lms", 1000), "work_later")],
    ids=["claim", "due"],
)
def test_the_work_list_is_found_by_index(query: str, values: tuple[object, ...], index: str) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(QUERIES["schema"])
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {QUERIES[query]}", values)]
    [search] = [step for step in plan if step.startswith(("SEARCH w ", "SEARCH work "))]

    assert index in search
    assert "(destination=?" in search
    assert [step for step in plan if "TEMP B-TREE" in step] == []
    assert [step for step in plan if step.startswith(("SCAN w", "SCAN work", "SCAN r", "SCAN l"))] == []
