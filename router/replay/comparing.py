"""What a destination has, read back and compared with what it is to have: missing, different, or too much."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final, NamedTuple

from bus.adapter import Listed
from bus.messages import Op
from router.core.comparing import differing
from router.core.delivery import HELD_UNKNOWN, Planned, Route
from router.core.identity import UNKNOWN
from router.core.jobs import Job, Members
from router.core.mapping import id_of
from router.core.rules import Guards
from router.delivery.settled import Claim
from router.replay.survey import RECORDS_AT_ONCE, Plan, Survey, beyond, claim_of
from router.store import Store

KEYS_MAX: Final = 200
"""How many records of each kind a report names."""
PAGE: Final = 2_000

Listing = Callable[[str], AsyncIterator[Sequence[Listed]]]


class There(NamedTuple):
    """Who is who in one table of a destination: by its id there the record's number here."""

    ours: dict[str, int]
    others: set[str]


class Comparing:
    """One destination, compared once. Records whose delivery waits are left out: they differ for a while."""

    def __init__(self, store: Store, job: Job, plan: Plan, routes: Mapping[str, Route], now_ms: int) -> None:
        self._store = store
        self._job = job
        self._plan = plan
        self._tables = {entity: route.rule.table for entity, route in routes.items()}
        self._now_ms = now_ms
        self._members = Members(store.read("last_record")[0][0] or 0)
        self._counts: Counter[tuple[str, str]] = Counter()
        self._there: Counter[str] = Counter()
        self._fields: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._keys: defaultdict[str, list[str]] = defaultdict(list)

    async def all(self, listing: Listing, guards: Guards) -> Survey:
        """Raises Unavailable, and BusError if an entity cannot be listed."""
        known = {entity: await self._known(entity) for entity in self._tables}
        for entity in self._job.entities:
            same_table = [each for each, table in self._tables.items() if table == self._tables[entity]]
            others = {id_ for each in same_table if each != entity for id_ in known[each]}
            await self._entity(entity, There(known[entity], others), listing)
        changes = Counter(
            {(entity, _OPS[what]): n for (entity, what), n in self._counts.items() if what in _OPS}
        )
        report = {
            "compared": [[entity, what, n] for (entity, what), n in sorted(self._counts.items())],
            "fields": {entity: dict(found.most_common()) for entity, found in self._fields.items()},
            "keys": dict(self._keys),
        }
        return Survey(self._members, report, beyond(changes, self._there, guards))

    async def _known(self, entity: str) -> dict[str, int]:
        found: dict[str, int] = {}
        after, entities = 0, json.dumps([entity])
        while rows := self._store.read("surveyed", self._job.system, after, entities, PAGE):
            after = rows[-1][0]
            found |= {local_id or id_of(key): id_ for id_, key, *_, local_id in rows}
            await asyncio.sleep(0)
        return found

    async def _entity(self, entity: str, there: There, listing: Listing) -> None:
        seen = bytearray(max(there.ours.values(), default=0) + 1)
        async for page in listing(entity):
            here = {there.ours[each.local_id]: each for each in page if each.local_id in there.ours}
            unknown = [
                each.local_id
                for each in page
                if each.local_id not in there.ours and each.local_id not in there.others
            ]
            self._found(entity, "unknown here", [f"{entity}/{id_}" for id_ in unknown])
            for record in here:
                seen[record] = 1
            self._compared(entity, here)
            await asyncio.sleep(0)
        missing = [record for record in there.ours.values() if not seen[record]]
        for start in range(0, len(missing), RECORDS_AT_ONCE):
            self._missing(entity, missing[start : start + RECORDS_AT_ONCE])
            await asyncio.sleep(0)

    def _planned(self, records: Sequence[int]) -> list[tuple[Claim, Planned]]:
        rows = self._store.read("compared", self._job.system, json.dumps(records))
        claims = [claim_of(row, self._now_ms) for row in rows]
        # As if nobody knew what is there: then the plan says what is to be there.
        asked = [each._replace(held=each.held._replace(hash=HELD_UNKNOWN)) for each in claims]
        held = {each.record: each for each in claims}
        return [(held[claim.record], found) for claim, _, found in self._plan(asked)]

    def _compared(self, entity: str, here: Mapping[int, Listed]) -> None:
        for claim, found in self._planned(list(here)):
            self._there[entity] += 1
            if found.delivery is None:
                continue  # it cannot be told, or may not
            if found.delivery.op is Op.DELETE:
                # Taken away only if it is known to be ours: what was never ours is nobody's to touch here.
                is_ours = bool(claim.held.hash or claim.held.local_id)
                self._found(entity, "too much", [claim.key], claim.record if is_ours else 0)
                continue
            names = differing(found.delivery.fields, here[claim.record].fields)
            if names:
                self._fields[entity].update(names)
            self._found(entity, "different" if names else "same", [claim.key], claim.record if names else 0)

    def _missing(self, entity: str, records: Sequence[int]) -> None:
        for claim, found in self._planned(records):
            if found.delivery and found.delivery.op is not Op.DELETE:
                self._found(entity, "missing", [claim.key], claim.record)

    def _found(self, entity: str, what: str, keys: Sequence[str], record: int = 0) -> None:
        if not keys:
            return
        self._counts[entity, what] += len(keys)
        if what != "same":
            left = KEYS_MAX - len(self._keys[what])
            self._keys[what] += [key for key in keys if not key.startswith(f"{UNKNOWN}/")][:left]
        if record and self._job.force:
            self._members.add([record], told=True)


_OPS: Final = {"missing": Op.CREATE.value, "different": Op.UPDATE.value, "too much": Op.DELETE.value}
