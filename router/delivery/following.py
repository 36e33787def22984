"""What refers to a record follows it: first away from a destination, and back to it afterwards.

A removal waits until what refers to the record by a required reference, and is there, has gone or names
another one. What is not to go by itself is put on the work list, and goes because its target does.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from bus.messages import Op, Record
from router.core.delivery import HELD_UNKNOWN, Planned, Route
from router.core.order import There, still_there
from router.core.rules import EntityRule
from router.delivery.awaited import Wait
from router.delivery.settled import Claim, Settled
from router.store import Store

Each = tuple[Claim, Record, Planned]
Row = tuple[str, int, str, int, str, int]
"""destination, record, entities, whether they are there, the put's id, when: for `put_followers`"""


class Following:
    """Of one destination. `required`: by entity the references that it cannot be without there."""

    def __init__(
        self,
        system: str,
        routes: Mapping[str, Route],
        entities: Mapping[str, EntityRule],
        required: Mapping[str, Sequence[str]],
        store: Store,
    ) -> None:
        self._system = system
        self._store = store
        refer: defaultdict[str, set[str]] = defaultdict(set)
        for name, fields in required.items():
            for to in {to for field in fields for to in entities[name].fields[field].to}:
                refer[to].add(name)
        stay = {name for name, route in routes.items() if route.rule.on_delete == "ignore"}
        self._behind = {to: json.dumps(sorted(names)) for to, names in refer.items() if to in routes}
        self._first = {
            to: json.dumps(sorted(names - stay))
            for to, names in refer.items()
            if to in routes and names - stay
        }
        """By entity those that have to go first; what stays by its rule does not keep its target there."""

    def standing(self, planned: Sequence[Each]) -> dict[str, Wait]:
        """By key what a removal has to wait for: what still stands there on the record."""
        if not self._first:
            return {}
        keys = {
            claim.record: (claim.key, self._first[record.entity])
            for claim, record, found in planned
            if found.delivery and found.delivery.op is Op.DELETE and record.entity in self._first
        }
        rows = [(self._system, record, first) for record, (_, first) in keys.items()]
        waits = {}
        for target, id_, name, *there, _ in self._store.read_rows("standing_on", rows) if rows else ():
            key, first = keys[target]
            found = There(*there)
            why = f"waits for {name}: it {still_there(found)}"
            waits[key] = Wait((self._system, id_), found, why, first)
        return waits

    def come(self, done: Iterable[Settled]) -> list[Row]:
        """For those that are there now and were not: what had to do without them."""
        return [
            self.row(each, self._behind[each.record.entity], 0)
            for each in (done if self._behind else ())
            if each.record.entity in self._behind
            and each.claim.held.hash in ("", HELD_UNKNOWN)
            and each.hash not in ("", HELD_UNKNOWN)
        ]

    def row(self, each: Settled, entities: str, there: int) -> Row:
        """For `put_followers`. They go with what they follow, also where that is at set times."""
        return (
            self._system,
            each.claim.record,
            entities,
            there,
            f"follow.{each.record.seq}",
            each.claim.since_ms,
        )
