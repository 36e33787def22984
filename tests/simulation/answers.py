"""A destination that answers as a test says, in place of lms or another one."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import cast

from simulation.by_hand import event
from simulation.clock import START_MS
from simulation.life import Life
from simulation.world import Town

from bus import adapter as contract
from bus.adapter import Delivery, Receipt, Surroundings
from bus.messages import Event, Op, Outcome
from router.core.rules import SystemRule
from router.world import World

Answer = Callable[[Sequence[Delivery]], Awaitable[list[Receipt]]]


class Adapter:
    """A destination that answers as the test says; it keeps what it was given."""

    def __init__(
        self, town: Town, answer: Answer, *, batch_records_max: int = 50, system: str = "lms"
    ) -> None:
        self.batch_records_max = batch_records_max
        self.batches: list[list[str]] = []
        self.taken: set[str] = set()
        self._answer = answer
        make_world = town._world

        def world(life: Life) -> World:
            found = make_world(life)

            def make(made: SystemRule, around: Surroundings) -> contract.Destination:
                if made.name == system:
                    return cast(contract.Destination, self)
                return found.make_destination(made, around)

            return replace(found, make_destination=make)

        town._world = world  # type: ignore[method-assign]

    async def check(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def apply(self, batch: Sequence[Delivery]) -> list[Receipt]:
        self.batches.append([delivery.key for delivery in batch])
        receipts = await self._answer(batch)
        self.taken.update(each.key for each in receipts if each.outcome is Outcome.DELIVERED)
        return receipts


def taken(batch: Sequence[Delivery]) -> list[Receipt]:
    return [Receipt(delivery.key, Outcome.DELIVERED) for delivery in batch]


def students(count: int) -> list[Event]:
    return [event(str(number), name="Ada", grade="9") for number in range(1, count + 1)]


def keys(count: int) -> set[str]:
    return {f"student/{number}" for number in range(1, count + 1)}


def gone(id_: str, at: int = 1) -> Event:
    return event(id_, op=Op.DELETE, at_ms=START_MS + at)


def attempts(town: Town) -> set[int]:
    """Of all that is on the work list of lms."""
    rows = town.disk.rows("index.sqlite", "SELECT DISTINCT attempt FROM work WHERE destination = 'lms'")
    return {attempt for (attempt,) in rows}
