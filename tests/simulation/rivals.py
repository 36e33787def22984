"""Two routers that are started at once for one district, on two machines: the lease says which one works.

They share the disk, so that whoever has the lease can go on. The way of the lease to the bus is sound here:
who cannot renew it for half a minute, and has not heard yet that another has it, works on for some seconds.
"""

import asyncio
import contextlib
from typing import Final

from simulation.choices import Choices
from simulation.life import Crash, Life
from simulation.streams import Wire
from simulation.weather import Outage, Weather
from simulation.world import Town

from bus.errors import YellowbusError
from router.lock import Lease, lease_held

AGAIN_S: Final = 5.0
TAKES_OVER_S: Final = 60.0
"""From a crash until the other one must be at work: a lease, and some starts."""


class Rivals:
    """Two lives at once."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self.lives = [town.begin(), town.begin()]
        self._at_work: list[Life] = []
        self._sound = Weather(Choices(town.seed), share=0.0)

    def live(self, *, stop_after_s: float, dies_after_s: float, turns: int | None = None) -> bool:
        """Until they are told to stop. The one at work dies before that, and the other takes over; or both
        die after some turns of the loop.
        """
        return self._town.lived(self.lives, self._both(stop_after_s, dies_after_s), turns)

    async def _both(self, stop_after_s: float, dies_after_s: float) -> bool:
        loop = self._town.loop
        deadline_s = loop.time() + stop_after_s
        tasks = {life.number: asyncio.ensure_future(self._contend(life, deadline_s)) for life in self.lives}
        await asyncio.sleep(dies_after_s)
        for life in list(self._at_work)[:1]:
            life.end("alone")
            tasks[life.number].cancel()
            with contextlib.suppress(asyncio.CancelledError, Crash, BaseExceptionGroup):
                await tasks.pop(life.number)
            self._town.weather.counts["crash of one of two"] += 1
        await asyncio.gather(*tasks.values())
        return True

    async def _contend(self, life: Life, deadline_s: float) -> None:
        """Start; who is refused is started again, as systemd does."""
        town, loop = self._town, self._town.loop
        down = Outage(loop, self._sound, town.trace)
        while loop.time() < deadline_s:
            wire = Wire(town.server, life, self._sound, down=down)
            lease = Lease(wire, f"machine {life.number}", "district", loop.now_ms, asyncio.sleep)
            try:
                async with lease_held(lease):
                    await self._work(life, deadline_s - loop.time())
            except* YellowbusError as refused:
                town.trace(f"#{life.number} is refused: {refused.exceptions[0]}")
                town.weather.counts["two routers"] += 1
            await asyncio.sleep(AGAIN_S)

    async def _work(self, life: Life, for_s: float) -> None:
        self._at_work.append(life)
        if len(self._at_work) > 1:
            raise AssertionError("two routers are at work at once")
        try:
            await self._town.daemon(life, False, for_s)
        finally:
            self._at_work.remove(life)
