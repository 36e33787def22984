"""What waits until something else is at a destination, and what wakes it.

That a record waits stands on its work list, with what it waits for. It is woken by the commit that settles
the awaited delivery; so neither a crash nor a full disk can come between. A record is not looked at while it
waits.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from bus.adapter import Receipt
from bus.messages import Op, Outcome, Record
from router.core.delivery import Planned
from router.core.order import NOT_THERE, There, not_yet
from router.core.rules import DestinationEntity
from router.database import Write
from router.delivery.settled import Claim, Settled
from router.store import Store

Each = tuple[Claim, Record, Planned]
Place = tuple[str, int]
"""A destination, and the name of a record in the index."""


class Wait(NamedTuple):
    """What a record waits for, as that was when it was looked at, and why."""

    place: Place
    there: There
    reason: str


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


class Order:
    """What has to be first, of one destination."""

    def __init__(
        self, system: str, rules: Mapping[str, DestinationEntity], store: Store, awaited: Awaited
    ) -> None:
        self._system = system
        self._after = {name: rule.after for name, rule in rules.items() if rule.after}
        self._store = store
        self._awaited = awaited
        self._waits: dict[str, Wait] = {}

    def hold(self, planned: Sequence[Each]) -> dict[str, Receipt]:
        """Receipts for those that have to wait."""
        if not self._after:
            return {}
        sent = [
            (claim, record)
            for claim, record, found in planned
            if found.delivery and found.delivery.op is not Op.DELETE and record.entity in self._after
        ]
        there = self._there([(name, claim.record) for claim, r in sent for name in self._after[r.entity]])
        waits: dict[str, Wait] = {}
        for claim, record in sent:
            for name in self._after[record.entity]:
                place = (name, claim.record)
                found = there.get(place, NOT_THERE)
                if claim.key not in waits and (why := not_yet(found, record.rev)):
                    waits[claim.key] = Wait(place, found, f"waits for {name}: it {why}")
        self._waits.update(waits)
        return {key: Receipt(key, Outcome.WAITING, wait.reason, tried=False) for key, wait in waits.items()}

    def writes(self, later: Iterable[Settled], now_ms: int) -> list[Write]:
        """For the commit that puts these off: those that wait do so, unless what they wait for has moved on
        since it was looked at.
        """
        rows = []
        for each in later:
            if each.outcome is Outcome.WAITING:
                wait, claim = self._waits.pop(each.claim.key), each.claim
                self._awaited.expect(wait.place)
                looked_at = (self._system, claim.turn, claim.rev, claim.put)
                rows.append((*looked_at, *wait.place, now_ms, wait.reason, *wait.there[:3]))
        return [self._store.write("wait_work", rows)] if rows else []

    def waking(self, done: Iterable[Settled]) -> list[Write]:
        """For the commit that settles these: what waits for one of them is looked at again."""
        return self._awaited.waking(self._system, done)

    def woken(self) -> None:
        """That is committed."""
        self._awaited.woken()

    def _there(self, places: Sequence[Place]) -> dict[Place, There]:
        if not places:
            return {}
        rows = self._store.read_rows("there", list(dict.fromkeys(places)))
        return {(name, id_): There(rev, hash_, bool(on), why) for name, id_, rev, hash_, on, why in rows}


def without(held: Mapping[str, Receipt], planned: Sequence[Each]) -> Sequence[Each]:
    """Those that have no receipt yet."""
    return [each for each in planned if each[0].key not in held] if held else planned
