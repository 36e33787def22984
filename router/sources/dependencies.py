"""What ties rows of a plan to each other: what their events refer to, and what the hub's records do."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

from bus.codec import decode_event
from bus.messages import Op
from router.core.dependents import Name, Planned
from router.core.identity import named, references
from router.core.rekey import LINK
from router.core.rules import District
from router.sources.shelf import Shelf
from router.store import Store

NAMES_AT_ONCE: Final = 500
FIRST: Final = -(1 << 62)
"""Below every id of a row: what is carried over from an earlier read stands before 1."""

PlanRow = tuple[int, str, str, str, str, bytes]
"""id, entity, local_id, op, school, body: as in `plan_after` and `waiting_after`."""


async def pages(shelf: Shelf, query: str) -> AsyncIterator[list[tuple[Any, ...]]]:
    """All rows of a query that goes on after an id, page by page; others get their turn in between."""
    after = FIRST
    while rows := shelf.read(query, after):
        after = rows[-1][0]
        yield rows
        await asyncio.sleep(0)


class Dependencies:
    """Of one source's plans."""

    def __init__(self, system: str, shelf: Shelf, store: Store, district: District) -> None:
        self._system = system
        self._shelf = shelf
        self._store = store
        source = district.systems[system].source
        entities = source.entities if source else {}
        self._references = {name: references(district.entities[name]) for name in entities}
        self._siblings = {
            name: tuple(
                other
                for other, rule in entities.items()
                if other != name and (rule.table, rule.id_field) == (each.table, each.id_field)
            )
            for name, each in entities.items()
        }

    async def rows(
        self, query: str, is_held: Callable[[PlanRow], bool]
    ) -> tuple[list[Planned], list[Planned]]:
        """The rows that are held and the others, with all that ties them to each other."""
        creates: set[Name] = set()
        removals: set[Name] = set()
        async for page in pages(self._shelf, query):
            for _, entity, local_id, op, *_ in page:
                if op in (Op.CREATE.value, LINK):
                    creates.add((entity, local_id))
                elif op == Op.DELETE.value:
                    removals.add((entity, local_id))
        by_key = self._keys(removals)
        held: list[Planned] = []
        others: list[Planned] = []
        async for page in pages(self._shelf, query):
            keeps = self._kept(page, by_key)
            for row in page:
                name = (row[1], row[2])
                needs = self._needed(row, creates) if creates else ()
                planned = Planned(row[0], name, row[3], needs, keeps.get(name, ()), row[4])
                (held if is_held(row) else others).append(planned)
        return held, others

    def _needed(self, row: PlanRow, creates: set[Name]) -> tuple[Name, ...]:
        """What must be there first, among what the plan brings. Who moves from one entity to another goes
        from the old one only when it is in the new one.
        """
        _, entity, local_id, op, _, body = row
        if op == Op.DELETE.value:
            return tuple(
                name for other in self._siblings.get(entity, ()) if (name := (other, local_id)) in creates
            )
        rules = self._references.get(entity, ())
        if not rules:
            return ()
        names = [(to, target_id) for _, to, target_id in named(decode_event(body), rules)]
        return tuple(name for name in names if name in creates and name != (entity, local_id))

    def _keys(self, removals: set[Name]) -> dict[str, Name]:
        """The hub's keys of what the plan removes."""
        found: dict[str, Name] = {}
        names = sorted(removals)
        for start in range(0, len(names), NAMES_AT_ONCE):
            part = names[start : start + NAMES_AT_ONCE]
            links = self._store.links([(self._system, *name) for name in part])
            found.update({key: (entity, local_id) for (_, entity, local_id), key in links.items()})
        return found

    def _kept(self, page: Sequence[PlanRow], by_key: Mapping[str, Name]) -> dict[Name, tuple[Name, ...]]:
        """What the hub's records of these rows refer to, of what the plan removes."""
        if not by_key:
            return {}
        wanted = [
            (self._system, entity, local_id)
            for _, entity, local_id, op, *_ in page
            if op != Op.CREATE.value and self._references.get(entity)
        ]
        if not wanted:
            return {}
        links = self._store.links(wanted)
        records = self._store.records(list(links.values()))
        found: dict[Name, tuple[Name, ...]] = {}
        for (_, entity, local_id), key in links.items():
            record = records.get(key)
            if record is None or record.deleted:
                continue
            keys: list[str] = []
            for field, _, _ in self._references[entity]:
                value = record.values.get(field)
                keys += value if isinstance(value, tuple) else [str(value)]
            found[entity, local_id] = tuple(by_key[each] for each in keys if each in by_key)
        return found
