"""Finds in a staged plan that a source has given its records other ids: links, not creates and removals.

The removal of the old id goes out of the plan, the create of the new one becomes an update that says which
record it is (`act.key`) and by which id it was known (`act.was`). All of it waits for a person.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from bus import subjects
from bus.codec import decode_event, encode_event
from bus.messages import Event, Op
from bus.port import Bus
from router.core.identity import match_texts, named, references, resolve
from router.core.rekey import can_match, gone_from, is_rekey, pairs
from router.core.rules import District
from router.sources.dependencies import pages
from router.sources.shelf import Shelf
from router.store import Store

NAMES_AT_ONCE: Final = 500

PlanRow = tuple[int, str, str, str, str, bytes]
"""id, entity, local_id, op, school, body: as in `plan_after`."""


class Rekeying:
    """Of one source's plans."""

    def __init__(
        self,
        *,
        system: str,
        shelf: Shelf,
        store: Store,
        bus: Bus,
        district: District,
        tokens: subjects.Tokens,
    ) -> None:
        self._system = system
        self._shelf = shelf
        self._store = store
        self._bus = bus
        self._rules = district.entities
        self._tokens = tokens
        source = district.systems[system].source
        self._entities = tuple(source.entities) if source else ()

    async def relink(self) -> dict[str, int]:
        """Change the plan on the shelf where ids have changed: how many links, by entity."""
        removals: defaultdict[tuple[str, str], int] = defaultdict(int)
        creates: set[str] = set()
        for entity, school, op, count in self._shelf.read("plan_cells"):
            if op == Op.DELETE.value:
                removals[entity, school] += count
            elif op == Op.CREATE.value:
                creates.add(entity)
        populations = self._shelf.counts("counts_held")
        found: dict[str, int] = {}
        links: dict[tuple[str, str, str], str] = {}
        for entity in self._entities:  # what others refer to comes first
            schools = gone_from(removals, populations, entity)
            if not schools or entity not in creates or not can_match(self._rules[entity]):
                continue
            if not found:
                await self._catch_up()
            made = await self._relink(entity, schools, links)
            if made:
                found[entity] = made
        return found

    async def _catch_up(self) -> None:
        """The index must know all that this source has said."""
        newest = await self._bus.last(subjects.EVENTS, subjects.event(self._system, "*", "*"))
        if newest:
            await self._store.reached("events", newest.seq)

    async def _relink(self, entity: str, schools: set[str], links: dict[tuple[str, str, str], str]) -> int:
        """`links`: what earlier entities of this plan have found, by the new ids."""
        creates, gone = await self._rows(entity)
        old = self._keys(entity, gone)
        matched = pairs(
            [(row[0], key) for row in creates if (key := self._match(row, old, links)) is not None]
        )
        from_there = {local_id for local_id, school in gone.items() if school in schools}
        if not is_rekey(len(from_there), sum(old[key] in from_there for key in matched.values())):
            return 0
        rows = [row for row in creates if row[0] in matched]
        shelf = self._shelf
        for start in range(0, len(rows), NAMES_AT_ONCE):
            part = rows[start : start + NAMES_AT_ONCE]
            linked = [(self._linked(row, matched[row[0]], old), row[0]) for row in part]
            await shelf.commit(
                [
                    shelf.write("relink", linked),
                    shelf.write("unplan_gone", [(entity, old[matched[row[0]]]) for row in part]),
                ]
            )
        links.update({(self._system, entity, row[2]): matched[row[0]] for row in rows})
        return len(rows)

    async def _rows(self, entity: str) -> tuple[list[PlanRow], dict[str, str]]:
        """The creates of an entity, and by old id the school of what has gone."""
        creates: list[PlanRow] = []
        gone: dict[str, str] = {}
        async for page in pages(self._shelf, "plan_after"):
            for row in page:
                if row[1] == entity and row[3] == Op.CREATE.value:
                    creates.append((row[0], row[1], row[2], row[3], row[4], row[5]))
                elif row[1] == entity and row[3] == Op.DELETE.value:
                    gone[row[2]] = row[4]
        return creates, gone

    def _keys(self, entity: str, gone: Iterable[str]) -> dict[str, str]:
        """By key the old id of each live record that has gone."""
        found: dict[str, str] = {}
        names = sorted(gone)
        for start in range(0, len(names), NAMES_AT_ONCE):
            part = [(self._system, entity, each) for each in names[start : start + NAMES_AT_ONCE]]
            for (_, _, local_id), key in self._store.links(part).items():
                found.setdefault(key, local_id)
        return found

    def _match(
        self, row: PlanRow, old: Mapping[str, str], links: Mapping[tuple[str, str, str], str]
    ) -> str | None:
        """The one record that has gone and is recognised in a new row; by the first rule that finds any."""
        event = decode_event(row[5])
        rules = self._rules[event.entity]
        refers = references(rules)
        names = named(event, refers)
        known = {**self._store.links(names), **{n: links[n] for n in names if n in links}} if names else {}
        fields, _ = resolve(event, refers, known)
        for text in match_texts(rules, fields):
            if not text:
                continue
            token = self._tokens(f"{event.entity}/{text}")
            keys = [str(key) for (key,) in self._store.read("matching", token)]
            if keys:
                return keys[0] if len(keys) == 1 and keys[0] in old else None
        return None

    def _linked(self, row: PlanRow, key: str, old: Mapping[str, str]) -> bytes:
        event: Event = decode_event(row[5])
        return encode_event(event._replace(op=Op.UPDATE, act={"key": key, "was": old[key]}))


def was(body: bytes) -> str:
    """By which id the record of a link was known."""
    return str(decode_event(body).act.get("was", ""))
