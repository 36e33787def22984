"""Looks from time to time at what nothing else would bring up: an hour that ends, a time that has passed."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from bus.adapter import Sleep
from bus.errors import Unavailable

LOOK_S: Final = 30.0


class Watch:
    """`looks` are called one after the other, for ever."""

    def __init__(
        self, looks: Sequence[Callable[[], Awaitable[None]]], sleep: Sleep, trouble: Callable[[str], None]
    ) -> None:
        self._looks = looks
        self._sleep = sleep
        self._trouble = trouble

    async def run(self) -> None:
        """For ever. A look that the disk or the bus does not allow is taken again."""
        while True:
            for look in self._looks:
                try:
                    await look()
                except Unavailable as error:
                    self._trouble(f"watch: {error}")
            await self._sleep(LOOK_S)
