"""What waits until something else is at a destination, and what wakes it.

That a record waits stands on its work list, with what it waits for. It is woken by the commit that settles
the awaited delivery; so neither a crash nor a full disk can come between. A record is not looked at while it
waits.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from bus.adapter import Receipt
from bus.messages import Op, Outcome, Record
from router.core.delivery import HELD_UNKNOWN, Planned
from router.core.identity import UNKNOWN
from router.core.order import MAY_BE_GONE, NOT_THERE, There, not_yet, required_references
from router.core.rules import DestinationEntity, EntityRule
from router.database import Write
from router.delivery.settled import Claim, Settled
from router.store import Store

NOTHING: Final[Mapping[str, str]] = {}
NOBODY: Final = 0
"""No record's name in the index: what is awaited is none yet. With it comes a change of what waits."""
HERE_MAX: Final = 10_000
ADD_ONLY: Final = "add-only"
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
        self,
        system: str,
        rules: Mapping[str, DestinationEntity],
        entities: Mapping[str, EntityRule],
        store: Store,
        awaited: Awaited,
    ) -> None:
        self._system = system
        self._after = {name: rule.after for name, rule in rules.items() if rule.after}
        self._told = frozenset(rules)
        required = {name: required_references(entities[name], rules) for name in rules}
        self._required = {name: fields for name, fields in required.items() if fields}
        self._store = store
        self._awaited = awaited
        self._waits: dict[str, Wait] = {}
        self._here: set[str] = set()

    def look(self, claims: Sequence[Claim], records: Mapping[str, Record], mode: str) -> Mapping[str, str]:
        """Looks what these refer to and cannot be without: one look-up for all.

        Returns by key why a record is not for this destination: what it refers to is not. What has to wait is
        held afterwards, if there is something to send.
        """
        self._waits = {}
        here: set[str] = self._here
        needs: list[tuple[str, str]] = []
        for claim in claims if self._required else ():
            record = records[claim.key]
            for name in () if record.deleted else self._required.get(record.entity, ()):
                value = record.values.get(name)
                for key in value if isinstance(value, tuple) else (value,):
                    if key and key not in here:
                        needs.append((claim.key, str(key)))
        if not needs:
            return NOTHING
        return self._unmet(needs, mode)

    def _unmet(self, needs: Sequence[tuple[str, str]], mode: str) -> Mapping[str, str]:
        names = {key for _, key in needs if key.partition("/")[0] in self._told}
        rows = self._store.read_rows("there_by_key", [(self._system, key) for key in sorted(names)])
        found = {key: (id_, rev, There(*there)) for key, id_, rev, *there in rows}
        because: dict[str, str] = {}
        for key, target in needs:
            if target.startswith(f"{UNKNOWN}/"):
                why = "waits for something that it refers to, and no system has told us of"
                self._waits.setdefault(key, Wait((self._system, NOBODY), NOT_THERE, why))
            elif target.partition("/")[0] not in self._told:
                self._known(target)
            elif target in found:
                id_, rev, there = found[target]
                is_sure = there.is_held and not there.may_be_gone(rev)
                if is_sure or (mode == ADD_ONLY and there.own_id):
                    self._known(target)
                elif why := MAY_BE_GONE if there.is_held else not_yet(there, rev):
                    self._waits[key] = Wait((self._system, id_), there, f"waits for {target}: it {why}")
                else:
                    because[key] = f"{target} is not for this system"
        return because

    def _known(self, key: str) -> None:
        if len(self._here) >= HERE_MAX:
            self._here.clear()
        self._here.add(key)

    def hold(self, planned: Sequence[Each]) -> dict[str, Receipt]:
        """Receipts for those that have to wait."""
        if self._here:  # what is told to go is not there for sure, whatever comes of it
            told = [(claim.key, found.delivery) for claim, _, found in planned if found.delivery]
            self._here.difference_update([key for key, each in told if each.op is Op.DELETE])
        if not self._after and not self._waits:
            return {}
        sent = [
            (claim, record)
            for claim, record, found in planned
            if found.delivery and found.delivery.op is not Op.DELETE
        ]
        waits = {claim.key: self._waits[claim.key] for claim, _ in sent if claim.key in self._waits}
        after = [
            (claim, record.rev, name) for claim, record in sent for name in self._after.get(record.entity, ())
        ]
        there = self._there([(name, claim.record) for claim, _, name in after])
        for claim, rev, name in after:
            place = (name, claim.record)
            found = there.get(place, NOT_THERE)
            if claim.key not in waits and (why := not_yet(found, rev)):
                waits[claim.key] = Wait(place, found, f"waits for {name}: it {why}")
        self._waits = waits
        return {key: Receipt(key, Outcome.WAITING, wait.reason, tried=False) for key, wait in waits.items()}

    def writes(self, later: Iterable[Settled], now_ms: int) -> list[Write]:
        """For the commit that puts these off: those that wait do so, unless what they wait for has moved on
        since it was looked at.
        """
        rows = []
        for each in later:
            if each.outcome is Outcome.WAITING:
                wait, claim = self._waits[each.claim.key], each.claim
                self._awaited.expect(wait.place)
                looked_at = (self._system, claim.turn, claim.rev, claim.put)
                rows.append(
                    (*looked_at, *wait.place, now_ms, wait.reason, *wait.there[:3], bool(wait.there.failed))
                )
        return [self._store.write("wait_work", rows)] if rows else []

    def waking(self, done: Iterable[Settled]) -> list[Write]:
        """For the commit that settles these: what waits for one of them is looked at again."""
        return self._awaited.waking(self._system, done)

    def settled(self, done: Iterable[Settled], *, woken: bool) -> None:
        """These are committed. `woken`: with something that waited for them."""
        if woken:
            self._awaited.woken()
        if self._required:
            self._here.difference_update([each.claim.key for each in done if each.hash in ("", HELD_UNKNOWN)])

    def _there(self, places: Sequence[Place]) -> dict[Place, There]:
        if not places:
            return {}
        rows = self._store.read_rows("there", list(dict.fromkeys(places)))
        return {(name, id_): There(rev, hash_, bool(on), why) for name, id_, rev, hash_, on, why in rows}


def without(held: Mapping[str, Receipt], planned: Sequence[Each]) -> Sequence[Each]:
    """Those that have no receipt yet."""
    return [each for each in planned if each[0].key not in held] if held else planned
