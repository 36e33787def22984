"""What streams and destinations say, for the verdict to compare."""

import asyncio
import csv
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from crash.book import Applied, Book
from crash.district import SYSTEMS, Export, Told
from crash.records import OURS
from crash.verdict import Decided, Rows
from running import Place

import adapters
from adapters.sql import dialect
from bus.adapter import Surroundings
from bus.codec import decode_audit, decode_change, decode_event
from bus.connection import Address
from bus.jetstream import JetStream
from bus.messages import AuditRecord
from router.config import load
from router.core.shapes import destination_shape


class Heard(NamedTuple):
    """What is on the streams. `events`: each one's id by its sequence."""

    events: dict[int, str]
    changes: list[Decided]
    audit: list[AuditRecord]


async def streams(address: Address) -> Heard:
    """All of EVENTS, CHANGES and AUDIT, but for the conflicts, which have values."""
    heard = Heard({}, [], [])
    async with JetStream.connect(address) as bus:
        async for page in bus.read("EVENTS"):
            heard.events.update((stored.seq, decode_event(stored.body).id) for stored in page)
        async for page in bus.read("CHANGES"):
            for stored in page:
                record = decode_change(stored.body, stored.seq).record
                heard.changes.append(Decided(record.key, record.rev, record.event_seq))
        async for page in bus.read("AUDIT"):
            for stored in page:
                if not stored.subject.startswith("audit.conflict."):
                    heard.audit.extend(decode_audit(stored.body))
    return heard


def wanted(system: str, export: Export) -> dict[str, Rows]:
    """What a system must have of an export."""
    return {told.table: list(_said(told, export)) for told in SYSTEMS[system]}


def _said(told: Told, export: Export) -> Iterator[tuple[str, dict[str, str]]]:
    for id_, row in export.tables[told.file].items():
        is_student = row.get("role") == "student"
        if told.table not in ("students", "staff") or is_student is (told.table == "students"):
            yield id_, {ours: row[theirs] for ours, theirs in told.columns.items()}


def held(place: Place, system: str, books: Path) -> dict[str, Rows]:
    """What a system has."""
    if system == "warehouse":
        return {told.table: list(_rows(warehouse(place), told)) for told in SYSTEMS[system]}
    if system == "idp":
        return {"Users": list(_accounts(books / "idp.sqlite"))}
    if system == "lms":
        return _lms(books / "lms.sqlite")
    if system == "buses":
        return {told.table: list(_replayed(place.state / "buses", told.table)) for told in SYSTEMS[system]}
    return {told.table: list(_file(place.state / "meals" / f"{told.table}.csv")) for told in SYSTEMS[system]}


def warehouse(place: Place) -> Path:
    return place.state / "warehouse.db"


def _rows(file: Path, told: Told) -> Iterator[tuple[str, dict[str, str]]]:
    names = ", ".join(f'"{name}"' for name in told.columns)
    with closing(sqlite3.connect(file)) as connection:
        for id_, *values in connection.execute(
            f"SELECT id, {names} FROM {told.table} WHERE deleted_at IS NULL"
        ):
            yield id_, dict(zip(told.columns, map(_text, values), strict=True))


def _text(value: Any) -> str:
    """As the export has it: a list of a database is JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith("["):
        return ",".join(json.loads(value))
    return "" if value is None else str(value)


def _accounts(file: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Those that are switched on."""
    with Book(file) as book:
        for _, _, body in book.held():
            if body["active"]:
                name = body.get("name", {})
                yield (
                    body["externalId"],
                    {
                        "username": body["userName"],
                        "email": next((each["value"] for each in body.get("emails", ())), ""),
                        "givenName": name.get("givenName", ""),
                        "familyName": name.get("familyName", ""),
                        "userType": body["userType"],
                    },
                )


def _lms(file: Path) -> dict[str, Rows]:
    """With our ids in place of its own."""
    with Book(file) as book:
        all_ = list(book.held())
    ours = {id_: body[OURS] for table, id_, body in all_ if table == "users"}
    found: dict[str, list[tuple[str, dict[str, str]]]] = {}
    for table, id_, body in all_:
        texts = {name: _text(ours.get(value, value)) for name, value in body.items()}
        found.setdefault(table, []).append((ours[id_] if table == "users" else id_, texts))
    return dict(found)


def _file(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    if not path.exists():
        return
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            yield row["id"], row


def _replayed(folder: Path, table: str) -> Iterator[tuple[str, dict[str, str]]]:
    """What a reader has who takes in all files of changes, in the order of their numbers."""
    there: dict[str, dict[str, str]] = {}
    files = folder.glob(f"{table}-*.csv")
    for path in sorted(files, key=lambda path: int(path.stem.rpartition("-")[2])):
        for id_, row in _file(path):
            if row["op"] == "D":
                there.pop(id_, None)
            else:
                there[id_] = {**there.get(id_, {}), **row}
    yield from there.items()


# -- what was written, in its order


async def watched(place: Place) -> None:
    """The warehouse with its tables, which write down in which order they were written to."""
    district = load(place.config, place.state)
    rule = district.systems["warehouse"].destination
    assert rule
    shapes = tuple(destination_shape(each, district.entities[each.entity]) for each in rule.entities.values())
    around = Surroundings(
        system="warehouse", state=place.state, now_ms=lambda: 0, sleep=asyncio.sleep, entities=shapes
    )
    destination = adapters.make_destination(rule.adapter, rule.settings, around)
    await destination.apply([])
    await destination.close()
    with closing(sqlite3.connect(warehouse(place), isolation_level=None)) as connection:
        connection.execute(
            'CREATE TABLE applied (number INTEGER PRIMARY KEY, "table", record, op, version INTEGER)'
        )
        for shape in shapes:
            for on, op, which, version in WRITES:
                what = f"'{shape.table}', {which}.id, '{op}', {version}"
                _written_down(connection, shape.table, on, what)
        for on in ("INSERT", "UPDATE"):  # that a row is gone has a version too
            what = "new.\"table\", new.id, 'gone', new.version"
            _written_down(connection, dialect.TOMBSTONES, on, what)


WRITES = (
    ("INSERT", "create", "new", "new._version"),
    ("UPDATE OF _version", "update", "new", "new._version"),
    ("DELETE", "delete", "old", "NULL"),
)


def _written_down(connection: sqlite3.Connection, table: str, on: str, what: str) -> None:
    connection.execute(
        f"CREATE TRIGGER {table}_{on.partition(' ')[0]} AFTER {on} ON {table} BEGIN"
        f" INSERT INTO applied VALUES (NULL, {what}); END"
    )


def applied(place: Place, books: Path) -> Mapping[str, list[Applied]]:
    """Of the systems that say it: each write, in order."""
    found = {}
    with closing(sqlite3.connect(warehouse(place))) as connection:
        rows = connection.execute('SELECT "table", record, op, version FROM applied ORDER BY number')
        found["warehouse"] = [Applied(*row) for row in rows]
    for name in ("idp", "lms"):
        with Book(books / f"{name}.sqlite") as book:
            found[name] = book.applied()
    return found
