"""The zip that a destination writes: everything it holds, or what one batch changed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import repeat
from pathlib import Path
from typing import Final

from adapters.files.change import Change
from adapters.files.held import Cells
from adapters.files.outbox import Write

from . import manifest
from .cells import roles_of
from .tables import TABLES
from .writing import zip_part

Headers = Mapping[str, Sequence[str]]
SYSTEM: Final = "yellowbus"
_LARGE_ROWS: Final = 1_000_000
_BLANKS: Final = repeat("")


def write_part(write: Write, path: Path, *, version: str, headers: Headers) -> None:
    """Write the part of the zip: a bulk of all that is held, or (with `changes`) a delta. Raises OSError."""
    held, changes, now_ms = write.held, write.changes, write.now_ms
    kind = manifest.BULK if changes is None else manifest.DELTA
    tables = set(held.counts()) if changes is None else {change.table for change in changes}
    derived = version == "1.2" and "users" in tables and "roles" not in tables
    if derived:
        tables.add("roles")
    large = max(held.counts().values(), default=0) > _LARGE_ROWS
    with zip_part(path, now_ms, large=large) as sink:
        sink.add(manifest.FILE, manifest.rows_of(version, dict.fromkeys(tables, kind), system=SYSTEM))
        for table in TABLES[version]:
            if table not in tables:
                continue
            from_users = derived and table == "roles"
            if changes is not None:
                rows = _delta(changes, table, now_ms, derived=from_users)
                sink.add(f"{table}.csv", _lines(headers[table], rows))
            elif from_users:
                roles = (role for user in held.scan("users") for role in roles_of(user).values())
                sink.add(f"{table}.csv", _lines(headers[table], roles))
            else:
                sink.add_lines(f"{table}.csv", headers[table], held.lines(table, headers[table]))


def _lines(header: Sequence[str], rows: Iterable[Cells]) -> Iterator[Sequence[str]]:
    yield header
    for cells in rows:
        yield list(map(cells.get, header, _BLANKS))


def _delta(changes: Sequence[Change], table: str, now_ms: int, *, derived: bool) -> Iterator[Cells]:
    date = (
        datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
    for change in changes:
        if change.table != ("users" if derived else table):
            continue
        old, new = (
            _roles(cells) if derived else {change.id: cells} if cells else {}
            for cells in (change.before, change.after)
        )
        for id_, cells in new.items():
            if old.get(id_) != cells:
                yield {**cells, "status": "active", "dateLastModified": date}
        for id_ in old.keys() - new.keys():
            yield {**old[id_], "status": "tobedeleted", "dateLastModified": date}


def _roles(user: Cells | None) -> Mapping[str, Cells]:
    return roles_of(user) if user else {}
