"""A few requests at a time; when the service is down as a whole, no more of them."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from adapters.web.answers import Down
from adapters.web.turns import in_turns, receipts
from bus.adapter import Delivery, Receipt
from bus.errors import Unavailable
from bus.messages import Op, Outcome, Version


def delivery(id_: str) -> Delivery:
    return Delivery(
        f"student/{id_}", id_, "student", "students", Op.UPDATE, False, Version(1, 1), f"l{id_}", {}
    )


def giving(result: int | Unavailable, begun: list[int]) -> Callable[[], Awaitable[int | Unavailable]]:
    async def call() -> int | Unavailable:
        begun.append(len(begun))
        await asyncio.sleep(0)
        return result

    return call


async def test_results_come_in_the_order_of_the_calls() -> None:
    begun: list[int] = []

    assert await in_turns(2, [giving(n, begun) for n in range(5)]) == [0, 1, 2, 3, 4]


async def test_no_more_are_begun_than_may_be_under_way() -> None:
    under_way, most = 0, 0

    async def call() -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return 0

    await in_turns(3, [call] * 10)

    assert most == 3


async def test_when_the_service_is_down_no_more_are_begun() -> None:
    begun: list[int] = []
    down = Down("lms: no answer")

    results = await in_turns(1, [giving(1, begun), giving(down, begun), giving(2, begun)])

    assert (results, len(begun)) == ([1, down, down], 2)


async def test_one_record_that_cannot_be_done_now_stops_no_other() -> None:
    begun: list[int] = []
    busy = Unavailable("lms: 500")

    assert await in_turns(1, [giving(busy, begun), giving(2, begun)]) == [busy, 2]


def test_what_was_not_done_is_tried_again_and_uses_up_no_attempt() -> None:
    batch = [delivery("1"), delivery("2")]
    done = Receipt("student/1", Outcome.DELIVERED)

    first, second = receipts(batch, [done, Down("lms: 503", retry_after_s=7)])

    assert first is done
    assert second == Receipt("student/2", Outcome.RETRYING, "lms: 503", "l2", 7, False)


def test_a_record_that_alone_brings_out_an_error_uses_up_its_attempts() -> None:
    _, second = receipts(
        [delivery("1"), delivery("2")],
        [Receipt("student/1", Outcome.DELIVERED), Unavailable("lms: 500")],
    )

    assert (second.outcome, second.tried) == (Outcome.RETRYING, True)


def test_if_nothing_was_done_the_service_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="first"):
        receipts([delivery("1"), delivery("2")], [Unavailable("first"), Unavailable("second")])
    assert receipts([], []) == []
