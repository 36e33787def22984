"""Many requests, a few at a time; and what becomes of a batch whose service went down in the middle."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from adapters.web.answers import Down
from bus.adapter import Delivery, Receipt
from bus.errors import Unavailable
from bus.messages import Outcome

T = TypeVar("T")


async def in_turns(
    at_once: int, calls: Sequence[Callable[[], Awaitable[T | Unavailable]]]
) -> list[T | Unavailable]:
    """What each call gives. Once one says that the service as a whole is down, no more are begun."""
    down: list[Unavailable] = []
    results: dict[int, T | Unavailable] = {}
    left = iter(enumerate(calls))

    async def one_after_the_other() -> None:
        for number, call in left:
            if down:
                results[number] = down[0]
                continue
            results[number] = result = await call()
            if isinstance(result, Down):
                down.append(result)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(at_once, len(calls))):
            group.create_task(one_after_the_other())
    return [results[number] for number in range(len(calls))]


def receipts(batch: Sequence[Delivery], results: Sequence[Receipt | Unavailable]) -> list[Receipt]:
    """A receipt for each. Raises Unavailable if there is none for any of them."""
    down = [result for result in results if isinstance(result, Unavailable)]
    if down and len(down) == len(results):
        raise down[0]
    return [
        _retrying(delivery, result) if isinstance(result, Unavailable) else result
        for delivery, result in zip(batch, results, strict=True)
    ]


def _retrying(delivery: Delivery, why: Unavailable) -> Receipt:
    """Where the service as a whole did not answer, nothing was said about this record: no attempt is used up.
    One that alone comes to a 500 is on its own way to the dead letters.
    """
    tried = not isinstance(why, Down)
    return Receipt(delivery.key, Outcome.RETRYING, why.message, delivery.local_id, why.retry_after_s, tried)
