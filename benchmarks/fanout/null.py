"""Destinations that cost nothing, so that what is measured is the router: one that answers at once, and the
three that nobody wants to have.
"""

import asyncio
from collections.abc import Sequence
from typing import ClassVar, Final, Literal, cast

import adapters
from bus.adapter import Delivery, Receipt, Surroundings
from bus.adapter import Settings as Base
from bus.errors import Unavailable
from bus.messages import Outcome

ONE_S: Final = 1.0


class Settings(Base):
    """`is_`: good, hangs, fails (answers nothing, ever), or takes one record a second."""

    is_: Literal["good", "hangs", "fails", "slow"] = "good"


class Destination:
    """Keeps nothing of what it is told."""

    batch_records_max: ClassVar[int] = 1_000

    def __init__(self, settings: Settings, surroundings: Surroundings) -> None:
        self._is = settings.is_
        self._system = surroundings.system

    async def check(self) -> None:
        """It is there."""

    async def apply(self, batch: Sequence[Delivery]) -> list[Receipt]:
        """Says that all is done."""
        if self._is == "hangs":
            await asyncio.get_running_loop().create_future()
        if self._is == "fails":
            raise Unavailable(f"{self._system}: refuses connections", runbook="destination-unreachable")
        if self._is == "slow":
            await asyncio.sleep(len(batch) * ONE_S)
        return [Receipt(each.key, Outcome.DELIVERED) for each in batch]

    async def close(self) -> None:
        """Nothing is held."""


def register() -> None:
    """Make it known to this process as the adapter `null`."""
    side = adapters.Side(f"{__name__}:Destination", f"{__name__}:Settings")
    cast(dict[str, adapters.Adapter], adapters.ADAPTERS)["null"] = adapters.Adapter(destination=side)
