"""What a batch means for the rows of a table: pure, so that it is tested without a database.

It runs once for each record of a whole district, which is why it makes few objects for each.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import NamedTuple, TypeVar

from adapters.sql import dialect
from bus.adapter import Delivery, EntityShape, Listed, Receipt
from bus.messages import Op, Outcome, Value

Parameter = str | int | float | None
_T = TypeVar("_T")


class Held(NamedTuple):
    """What the database holds for an id. `hash` is None for a deleted row; `row`: there is one at all."""

    version: int
    hash: str | None
    row: bool


class Statement(NamedTuple):
    """One call into the database. `rows`: how many rows it changes if nobody else writes there."""

    sql: str
    parameters: Sequence[Parameter]
    rows: int = 0


class Row(NamedTuple):
    """One delivery and the key of its row."""

    id: Parameter
    delivery: Delivery


class Plan(NamedTuple):
    """What to write, and what became of each record, by its key, once that is written."""

    statements: list[Statement]
    receipts: dict[str, Receipt]


def by_entity(
    batch: Sequence[Delivery], shapes: Mapping[str, EntityShape]
) -> Iterator[tuple[EntityShape, list[Row]]]:
    """The rows of a batch, each entity's together, cut where an id comes again: two records to which the
    mapping gives one id are written one after the other.
    """
    entities: dict[str, list[Delivery]] = {}
    for delivery in batch:
        entities.setdefault(delivery.entity, []).append(delivery)
    for entity, deliveries in entities.items():
        shape = shapes[entity]
        run: dict[str, Row] = {}
        for delivery in deliveries:
            id_ = delivery.fields.get(shape.id_field)
            if id_ is None or type(id_) is tuple:
                id_ = delivery.local_id or delivery.id
            if str(id_) in run:
                yield shape, list(run.values())
                run = {}
            run[str(id_)] = Row(id_, delivery)  # type: ignore[arg-type]  # no tuple, as seen above
        yield shape, list(run.values())


def probes(rows: Sequence[Row], shape: EntityShape) -> Iterator[Statement]:
    """Ask what the database holds for these ids."""
    for size, chunk in _chunks([row.id for row in rows], 2):
        yield Statement(dialect.probe(shape.table, shape.id_field, size), [*chunk, shape.table])


def held_from(probed: Iterable[str]) -> dict[str, Held]:
    """What `dialect.probe` answered, by the id's text. A row and a tombstone of one id: the newer counts."""
    held: dict[str, Held] = {}
    for text in probed:
        for id_, version, hash_, kind in json.loads(text):
            before = held.get(id_)
            is_row = kind != dialect.TOMBSTONE or (before is not None and before.row)
            if before is None or version > before.version:
                held[id_] = Held(version, hash_, is_row)
    return held


def plan(rows: Sequence[Row], shape: EntityShape, held: Mapping[str, Held], deleted_at: str) -> Plan:
    """Decide for rows with distinct ids. The destination's newer version always wins; of the same version
    (the mapping has changed, say) ours is written, if it differs.
    """
    result = Plan([], {})
    deletions: list[Row] = []
    groups: dict[tuple[str, ...], list[Row]] = {}  # a field that a delivery leaves out stays as it is
    for row in rows:
        if row.delivery.op is Op.DELETE:
            deletions.append(row)
        else:
            groups.setdefault(tuple(row.delivery.fields), []).append(row)
    for names, group in groups.items():
        _upsert(group, names, shape, held, result)
    if deletions:
        _delete(deletions, shape, held, deleted_at, result)
    return result


def _upsert(
    rows: list[Row], names: tuple[str, ...], shape: EntityShape, held: Mapping[str, Held], result: Plan
) -> None:
    columns = tuple(name for name in names if name != shape.id_field)
    unmapped = set(columns) - {name for name, _ in shape.fields}
    if unmapped:
        reason = f"no column is mapped for {', '.join(sorted(unmapped))} in table {shape.table}"
        result.receipts.update((row.delivery.key, _receipt(row, Outcome.FAILED, reason)) for row in rows)
        return

    write: list[tuple[Parameter, ...]] = []
    buried: list[Parameter] = []
    doubted: list[Parameter] = []
    for row, (hash_, values) in zip(rows, _contents(rows, columns, shape), strict=True):
        version = row.delivery.version.number
        there = held.get(str(row.id)) if held else None
        outcome = Outcome.DELIVERED
        if there is not None:
            if there.version > version:
                outcome = Outcome.SUPERSEDED
            elif there.hash == hash_ and row.delivery.again:
                doubted.append(
                    row.id
                )  # somebody may have edited the row, and the hash beside it tells nothing
            elif there.hash == hash_:
                outcome = Outcome.UNCHANGED
            if not there.row and outcome is not Outcome.SUPERSEDED:
                buried.append(str(row.id))
        if outcome is Outcome.DELIVERED or (
            outcome is Outcome.UNCHANGED and there is not None and there.version < version
        ):
            write.append((row.id, version, hash_, *values))
        result.receipts[row.delivery.key] = _receipt(row, outcome)

    for size, ids in _chunks(doubted, 1):
        result.statements.append(Statement(dialect.doubt(shape.table, shape.id_field, size), ids))
    for size, chunk in _chunks(write, 3 + len(columns)):
        sql = dialect.upsert(shape.table, shape.id_field, columns, size)
        result.statements.append(Statement(sql, list(chain.from_iterable(chunk)), len({r[0] for r in chunk})))
    for size, ids in _chunks(buried, 1):
        result.statements.append(Statement(dialect.unbury(size), [shape.table, *ids]))


def _contents(
    rows: list[Row], columns: tuple[str, ...], shape: EntityShape
) -> Iterator[tuple[str, Sequence[Parameter]]]:
    """Hash and values of each row's columns, in their order."""
    if not columns:
        yield from ((dialect.EMPTY_HASH, ()) for _ in rows)
        return
    pick = itemgetter(*columns) if len(columns) > 1 else lambda fields: (fields[columns[0]],)
    lists = [n for n, name in enumerate(columns) if dict(shape.fields)[name] in ("list", "references")]
    seed = hashlib.blake2b(repr(columns).encode(), digest_size=16)
    for row in rows:
        values = pick(row.delivery.fields)
        if lists:
            values = list(values)
            for n in lists:
                values[n] = _list_text(values[n])
        content = seed.copy()
        content.update(repr(values).encode())  # repr escapes half surrogate pairs
        yield content.hexdigest(), values


def listed(row: tuple[Value, ...], shape: EntityShape) -> Listed:
    """A row of `dialect.page`, as it was told."""
    return Listed(
        str(row[0]),
        {name: _told(value, type_) for value, (name, type_) in zip(row[1:], shape.fields, strict=True)},
    )


def _told(value: Value, type_: str) -> Value:
    if type_ == "boolean" and isinstance(value, int):
        return bool(value)
    if type_ in ("list", "references") and isinstance(value, str):
        try:
            return tuple(str(each) for each in json.loads(value))
        except (ValueError, TypeError):
            return value  # no list any more: it differs from every one
    return value


@lru_cache(maxsize=4_096)
def _list_text(value: tuple[str, ...] | None) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _delete(
    rows: list[Row], shape: EntityShape, held: Mapping[str, Held], deleted_at: str, result: Plan
) -> None:
    keep: list[tuple[Parameter, Parameter]] = []
    remove: list[Parameter] = []
    bury: list[tuple[Parameter, ...]] = []
    for row in rows:
        there = held.get(str(row.id))
        version = row.delivery.version.number
        if there is not None and there.version > version:
            outcome = Outcome.SUPERSEDED
        elif there is None or not there.row:
            outcome = Outcome.UNCHANGED
            bury.append((shape.table, str(row.id), version))
        elif row.delivery.deactivate:
            outcome = Outcome.UNCHANGED if there.hash is None else Outcome.DELIVERED
            keep.append((row.id, version))
        else:
            outcome = Outcome.DELIVERED
            remove.append(row.id)
            bury.append((shape.table, str(row.id), version))
        result.receipts[row.delivery.key] = _receipt(row, outcome)

    for size, pairs in _chunks(keep, 3):
        sql = dialect.deactivate(shape.table, shape.id_field, size)
        result.statements.append(Statement(sql, [deleted_at, *chain.from_iterable(pairs)]))
    for size, ids in _chunks(remove, 1):
        result.statements.append(Statement(dialect.remove(shape.table, shape.id_field, size), ids))
    for size, triples in _chunks(bury, 3):
        result.statements.append(Statement(dialect.bury(size), list(chain.from_iterable(triples))))


def _receipt(row: Row, outcome: Outcome, reason: str = "") -> Receipt:
    return Receipt(row.delivery.key, outcome, reason, str(row.id))


def _chunks(items: list[_T], parameters_per_row: int) -> Iterator[tuple[int, list[_T]]]:
    """Items in the fixed sizes of the dialect; the last is repeated to fill up."""
    start = 0
    while start < len(items):
        size = dialect.size_of(len(items) - start, parameters_per_row)
        chunk = items[start : start + size]
        yield size, chunk + [chunk[-1]] * (size - len(chunk))
        start += size
