"""Records that a destination keeps switched off, until they are deleted there: `delete_after`.

Since when each is switched off stands in the index, in the commit that settles it. When its time has come it
is put on the work list, and planned as it is then: one that is wanted again comes back.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Protocol

from bus.messages import AuditRecord, Op, Outcome
from router.core.delivery import LEFT
from router.core.rules import DestinationEntity
from router.database import Write
from router.delivery.settled import Claim, Settled
from router.modes import LIVE
from router.store import Store

AT_ONCE: Final = 500
NOBODY: Final = frozenset[str]()


class Leaving:
    """Of one destination."""

    def __init__(
        self,
        system: str,
        rules: Mapping[str, DestinationEntity],
        store: Store,
        now_ms: Callable[[], int],
    ) -> None:
        self._system = system
        self._after_ms = {name: int(r.delete_after_s * 1000) for name, r in rules.items() if r.delete_after_s}
        self._store = store
        self._now_ms = now_ms

    def left(self, claims: Sequence[Claim]) -> Collection[str]:
        """The keys of those that are switched off, and have been long enough."""
        if not self._after_ms:
            return NOBODY
        asked = {
            claim.record: (claim.key, self._after_ms[entity])
            for claim in claims
            if not claim.held.hash and (entity := claim.key.partition("/")[0]) in self._after_ms
        }
        rows = [(self._system, record) for record in asked]
        now_ms, left = self._now_ms(), set()
        for record, since_ms in self._store.read_rows("switched_off", rows) if rows else ():
            key, after_ms = asked[record]
            if since_ms + after_ms <= now_ms:
                left.add(key)
        return left

    def writes(self, done: Sequence[Settled], now_ms: int) -> list[Write]:
        """For the commit that settles these."""
        off, gone = [], []
        for each in done if self._after_ms else ():
            if not each.sent or each.outcome not in (Outcome.DELIVERED, Outcome.UNCHANGED):
                continue
            if each.record.entity in self._after_ms:
                if each.op is Op.DELETE and each.switched_off:
                    off.append((self._system, each.claim.record, now_ms))
                elif not each.claim.held.hash:  # it came back, or is deleted
                    gone.append((self._system, each.claim.record))
        return [
            self._store.write("save_switched_off", off),
            self._store.write("forget_switched_off", gone),
        ]


class Line(Protocol):
    """A destination's worker."""

    @property
    def mode(self) -> str: ...

    def wake(self) -> None: ...


class Leavers:
    """Puts those on the work list whose time has come."""

    def __init__(
        self,
        store: Store,
        rules: Mapping[str, Mapping[str, DestinationEntity]],
        lines: Mapping[str, Line],
        now_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._after_ms = {
            (system, name): int(rule.delete_after_s * 1000)
            for system, entities in rules.items()
            for name, rule in entities.items()
            if rule.delete_after_s
        }
        self._lines = lines
        self._now_ms = now_ms

    async def look(self) -> None:
        """Some of each destination and entity."""
        now_ms = self._now_ms()
        for (system, entity), after_ms in self._after_ms.items():
            if self._lines[system].mode != LIVE:  # it would not be deleted, and looked at again for ever
                continue
            rows = self._store.read("leavers", system, now_ms - after_ms, entity, now_ms, AT_ONCE)
            if rows:
                await self._store.commit([self._store.write("put", rows)])
                self._lines[system].wake()


class SwitchedOff:
    """What is switched off at destinations, from the audit records of its deliveries, in order."""

    def __init__(self, rules: Mapping[str, Mapping[str, DestinationEntity]]) -> None:
        self._rules = rules
        self._held_ms: dict[tuple[str, str], int] = {}
        self._since_ms: dict[tuple[str, str], int] = {}

    @property
    def rows(self) -> list[tuple[str, str, int]]:
        """Destination, key, since when."""
        return [(*name, since_ms) for name, since_ms in self._since_ms.items()]

    def noted(self, records: Sequence[AuditRecord]) -> Sequence[AuditRecord]:
        """The same records, which are known now. Puts may come after later deliveries."""
        for each in records:
            self._saw(each)
        return records

    def _saw(self, each: AuditRecord) -> None:
        rule = self._rules.get(each.destination, {}).get(each.entity)
        if rule is None or not rule.delete_after_s:
            return
        if each.outcome not in (Outcome.DELIVERED, Outcome.UNCHANGED):
            return
        name = (each.destination, each.key)
        if each.hash:
            self._held_ms[name] = max(each.at_ms, self._held_ms.get(name, 0))
        if each.hash or each.reason.startswith(LEFT):
            if self._since_ms.get(name, each.at_ms) <= each.at_ms:
                self._since_ms.pop(name, None)
        elif each.at_ms > self._held_ms.get(name, 0):
            self._since_ms.setdefault(name, each.at_ms)
