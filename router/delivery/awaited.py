"""What is awaited at all destinations of a router: what waits is woken by the commit that settles that."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from router.core.order import There
from router.database import Write
from router.delivery.settled import Settled
from router.store import Store

Place = tuple[str, int]
"""A destination, and the name of a record in the index."""


class Wait(NamedTuple):
    """What a record waits for, as that was when it was looked at, and why. `behind`: it is to be removed, and
    these entities (JSON) stand on it.
    """

    place: Place
    there: There
    reason: str
    behind: str = ""


class Awaited:
    """What is awaited at all destinations of a router, at hand; the index has it too.

    It may hold more than the index: to wake what does not wait does no harm.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._places: dict[str, set[int]] = defaultdict(set)
        self.wakers: Sequence[Callable[[], None]] = ()

    async def release(self) -> None:
        """At start all are looked at once more: what they wait for may not be asked of them now."""
        if self._store.read("any_wait"):
            await self._store.commit([self._store.write("release_work", [()])])

    def expect(self, place: Place) -> None:
        """To be called before the wait is committed: who commits later must know."""
        self._places[place[0]].add(place[1])

    def waking(self, system: str, done: Iterable[Settled]) -> list[Write]:
        """For the commit that settles these: what waits for one of them is looked at again."""
        places = self._places.get(system)
        if not places:
            return []
        rows = [(system, each.claim.record) for each in done if each.claim.record in places]
        return [self._store.write("wake_work", rows)] if rows else []

    def woken(self) -> None:
        """That is committed."""
        for wake in self.wakers:
            wake()
