"""What waits until something else is at a destination, or has gone from there, and what wakes it.

That a record waits stands on its work list, with what it waits for. It is woken by the commit that settles
the awaited delivery; so neither a crash nor a full disk can come between. A record is not looked at while it
waits.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from bus.adapter import Receipt
from bus.messages import Op, Outcome, Record
from router.core.delivery import HELD_UNKNOWN, Route
from router.core.identity import UNKNOWN
from router.core.mapping import Invalid
from router.core.order import MAY_BE_GONE, NOT_THERE, There, not_yet, required_references, targets
from router.core.rules import EntityRule
from router.database import Write
from router.delivery.awaited import Awaited, Place, Wait
from router.delivery.following import Each, Following
from router.delivery.settled import Claim, Settled
from router.modes import LIVE
from router.records import Records
from router.store import Store

NOTHING: Final[Mapping[str, str]] = {}
NOBODY: Final = 0
"""No record's name in the index: what is awaited is none yet. With it comes a change of what waits."""
HERE_MAX: Final = 10_000
ADD_ONLY: Final = "add-only"


class Order:
    """What has to be first, of one destination."""

    def __init__(
        self,
        system: str,
        routes: Mapping[str, Route],
        entities: Mapping[str, EntityRule],
        store: Store,
        records: Records,
        awaited: Awaited,
        as_told: Callable[[Record], Record],
    ) -> None:
        self._system = system
        self._routes = routes
        self._after = {name: route.rule.after for name, route in routes.items() if route.rule.after}
        required = {name: required_references(entities[name], routes) for name in routes}
        self._required = {name: fields for name, fields in required.items() if fields}
        self._following = Following(system, routes, entities, self._required, store)
        self._store = store
        self._records = records
        self._awaited = awaited
        self._as_told = as_told
        self._waits: dict[str, Wait] = {}
        self._here: set[str] = set()

    def look(self, claims: Sequence[Claim], records: Mapping[str, Record], mode: str) -> Mapping[str, str]:
        """Looks what these refer to and cannot be without: one look-up for all.

        Returns by key why a record is not for this destination: what it refers to is not. What has to wait is
        held afterwards, if there is something to send.
        """
        self._waits = {}
        if not self._required:
            return NOTHING
        # What these are to be is being found out: that they are there tells nothing.
        self._here.difference_update([claim.key for claim in claims])
        because, self._waits = self.found(claims, records, mode)
        return because

    def found(
        self, claims: Sequence[Claim], records: Mapping[str, Record], mode: str
    ) -> tuple[Mapping[str, str], dict[str, Wait]]:
        """By key why a record is not for this destination, and what one waits for that is."""
        here = self._here
        needs: list[tuple[str, str]] = []
        for claim in claims if self._required else ():
            record = records[claim.key]
            for name in () if record.deleted else self._required.get(record.entity, ()):
                value = record.values.get(name)
                for key in value if isinstance(value, tuple) else (value,):
                    if key and key not in here:
                        needs.append((claim.key, str(key)))
        return self._unmet(needs, mode) if needs else (NOTHING, {})

    def _unmet(
        self, needs: Sequence[tuple[str, str]], mode: str
    ) -> tuple[Mapping[str, str], dict[str, Wait]]:
        found = self._there_by_key({key for _, key in needs})
        because: dict[str, str] = {}
        waits: dict[str, Wait] = {}
        goes: dict[str, bool] = {}
        for key, target in needs:
            if target.startswith(f"{UNKNOWN}/"):
                why = "waits for something that it refers to, and no system has told us of"
                waits.setdefault(key, Wait((self._system, NOBODY), NOT_THERE, why))
            elif target.partition("/")[0] not in self._routes:
                self._known(target)
            elif target in found:
                id_, rev, there = found[target]
                if there.listed and target not in goes:  # held or not: it may wait for this one to go
                    goes[target] = self._goes(target, mode)
                is_sure = there.is_held and not there.may_be_gone(rev)
                if goes.get(target):
                    because[key] = f"{target} is not for this system"
                elif is_sure or (mode == ADD_ONLY and there.own_id):
                    self._known(target)
                elif why := MAY_BE_GONE if there.is_held else not_yet(there, rev):
                    waits[key] = Wait((self._system, id_), there, f"waits for {target}: it {why}")
                else:
                    because[key] = f"{target} is not for this system"
        return because, waits

    def _there_by_key(self, keys: Iterable[str]) -> dict[str, tuple[int, int, There]]:
        """By key the record's name in the index, its newest rev, and what is there of it."""
        told = sorted(key for key in keys if key.partition("/")[0] in self._routes)
        rows = self._store.read_rows("there_by_key", [(self._system, key) for key in told]) if told else ()
        return {key: (id_, rev, There(*there)) for key, id_, rev, *there in rows}

    def _goes(self, key: str, mode: str) -> bool:
        """Is a record that is on the work list to be removed, by itself or with its targets?"""
        record = self._records.many([key]).get(key)
        if record is None or mode != LIVE:
            return False
        route = self._routes[record.entity]
        if route.rule.on_delete == "ignore":
            return False
        try:
            if record.deleted or not route.outgoing.wants(self._as_told(record), route.owner):
                return True
        except Invalid:
            return False  # it fails, and stays as it is
        found = self._there_by_key(targets(record, self._required.get(record.entity, ())))
        return any(
            self._goes(target, mode) if there.listed else not (there.is_held or not_yet(there, rev))
            for target, (_, rev, there) in found.items()
        )

    def _known(self, key: str) -> None:
        if len(self._here) >= HERE_MAX:
            self._here.clear()
        self._here.add(key)

    def hold(self, planned: Sequence[Each]) -> dict[str, Receipt]:
        """Receipts for those that have to wait."""
        if self._here:  # what is told to go is not there for sure, whatever comes of it
            told = [(claim.key, found.delivery) for claim, _, found in planned if found.delivery]
            self._here.difference_update([key for key, each in told if each.op is Op.DELETE])
        goes = self._following.standing(planned)
        if not self._after and not self._waits and not goes:
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
        self._waits = waits | goes
        return {key: Receipt(key, Outcome.WAITING, w.reason, tried=False) for key, w in self._waits.items()}

    def writes(self, done: Iterable[Settled], later: Iterable[Settled], now_ms: int) -> list[Write]:
        """For the commit that settles these and puts those off: those that wait do so, unless what they wait
        for has moved on since it was looked at; what follows is put on the work list before.
        """
        rows = []
        follow = self._following.come(done)
        for each in later:
            if each.outcome is Outcome.WAITING:
                wait, claim = self._waits[each.claim.key], each.claim
                self._awaited.expect(wait.place)
                looked_at = (self._system, claim.turn, claim.rev, claim.put)
                rows.append(
                    (*looked_at, *wait.place, now_ms, wait.reason, *wait.there[:3], bool(wait.there.failed))
                )
                if wait.behind:
                    follow.append(self._following.row(each, wait.behind, 1))
        return [self._store.write("put_followers", follow), self._store.write("wait_work", rows)]

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
