"""Which records refer to which by a reference that they cannot be without, so that what goes at a destination
finds what stands on it, and what comes finds what had to do without.

A row for each such reference, in the commit of the change that made it. One that a change takes back stays,
marked as past: a destination may still have the record as it was.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Final

from bus.messages import Record
from router.batch import Batch
from router.core.order import required_references, targets
from router.core.rules import District
from router.store import Store

PAGE: Final = 500
HERE: Final = ""
"""In the table of rules, where systems stand by name: which references the table of referrers has."""


def followed(district: District) -> Mapping[str, tuple[str, ...]]:
    """By entity the references without whose records some destination cannot have one."""
    told = [system.destination.entities for system in district.systems.values() if system.destination]
    found: dict[str, set[str]] = {}
    for rules in told:
        for name in rules:
            found.setdefault(name, set()).update(required_references(district.entities[name], rules))
    return {name: tuple(sorted(fields)) for name, fields in sorted(found.items()) if fields}


class Referrers:
    """Kept by intake as records change."""

    def __init__(self, district: District) -> None:
        self._fields = followed(district)

    def note(self, batch: Batch, before: Record | None, after: Record) -> None:
        """The record has changed: what does it refer to now, and what no more?"""
        fields = self._fields.get(after.entity)
        if fields is None or _refers_as(before, after, fields):
            return
        was = targets(before, fields) if before else frozenset()
        now = targets(after, fields)
        batch.refers.update({(target, after.key): True for target in was - now})
        batch.refers.update({(target, after.key): False for target in now - was})


def _refers_as(before: Record | None, after: Record, fields: tuple[str, ...]) -> bool:
    """Of nearly all changes it does; to compare values is cheaper than to make sets of them."""
    if before is None or before.deleted != after.deleted:
        return False
    was, now = before.values, after.values
    for name in fields:  # noqa: SIM110 - a generator takes three times as long
        if was.get(name) != now.get(name):
            return False
    return True


async def follow_all(store: Store, district: District) -> None:
    """At a start whose references are others than the table has, from all records."""
    fields = followed(district)
    written = json.dumps(fields)
    if store.read("rules", HERE) == [(written,)]:
        return
    await store.commit([store.write("past_referrers", [()])])
    for rows in _rows(store, fields):
        await store.commit([store.write("save_referrers", rows)])
    await store.commit([store.write("save_rules", [(HERE, written)])])


def _rows(store: Store, fields: Mapping[str, tuple[str, ...]]) -> Iterator[list[tuple[str, str, bool]]]:
    after, entities = 0, json.dumps(sorted(fields))
    while rows := store.read("keys_of", after, entities, PAGE):
        after = rows[-1][0]
        records = store.records([key for _, key in rows]).values()
        yield [(target, each.key, False) for each in records for target in targets(each, fields[each.entity])]
