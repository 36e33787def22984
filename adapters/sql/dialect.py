"""Every word of SQL that the adapter says, for SQLite. Pure: names and sizes in, statements out.

Statements carry many rows each, because a call into SQLite lets other threads have the interpreter and then
waits for it, up to 5 ms. They come in a few fixed sizes (`size_of`), so that prepared statements are used
again; the rows left over are filled up by repeating the last, which every statement here does not mind.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

PARAMETERS_MAX: Final = 32_000
"""SQLite takes 32,766 parameters per statement."""

ROWS_MAX: Final = 1_024

PAGE_ROWS: Final = 500

_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 768, ROWS_MAX)

TYPES: Final[Mapping[str, str]] = {
    "text": "TEXT",
    "integer": "INTEGER",
    "number": "REAL",
    "boolean": "INTEGER",
    "date": "TEXT",
    "datetime": "TEXT",
    "list": "TEXT",
    "reference": "TEXT",
    "references": "TEXT",
}
"""The hub's types. A boolean is 0 or 1, a date ISO text, a list a JSON array."""

OWN_COLUMNS: Final[Mapping[str, str]] = {"_version": "INTEGER", "_hash": "TEXT", "deleted_at": "TEXT"}
"""What yellowbus keeps in each row: the record's version, a hash of its content (NULL once it is deleted),
and since when it is deleted."""

EMPTY_HASH: Final = "-"
"""The hash of a row that has its key and nothing else."""

TOMBSTONES: Final = "_yellowbus_tombstones"
TOMBSTONE: Final = 2
"""The `kind` of a tombstone in the answer of `probe`."""

CREATE_TOMBSTONES: Final = f"""
    CREATE TABLE IF NOT EXISTS {TOMBSTONES} (
        "table" TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY ("table", id)
    ) STRICT, WITHOUT ROWID"""

TABLE_COLUMNS: Final = "SELECT name, type, pk FROM pragma_table_info(?)"

PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # DELIVERED is a promise
)


def quote(name: str) -> str:
    """An identifier, whatever is in it.

    >>> quote("order")
    '"order"'
    """
    return '"' + name.replace('"', '""') + '"'


def size_of(rows: int, parameters_per_row: int) -> int:
    """How many rows the next statement carries, to write `rows` of them: a fixed size, at least as many or
    the largest that fits.

    >>> size_of(1, 5), size_of(700, 5), size_of(5_000, 5), size_of(1_000, 100)
    (1, 768, 1024, 256)
    """
    fitting = [size for size in _SIZES if size == 1 or size * parameters_per_row <= PARAMETERS_MAX]
    return next((size for size in fitting if size >= rows), fitting[-1])


def create_table(table: str, id_field: str, columns: Mapping[str, str]) -> str:
    """`columns`: SQL type by name, the key among them."""
    parts = [f"{quote(name)} {type_}" for name, type_ in columns.items() if name != id_field]
    key = f"{quote(id_field)} {columns[id_field]} PRIMARY KEY NOT NULL"
    return f"CREATE TABLE {quote(table)} ({', '.join([key, *parts])}) STRICT"


def add_column(table: str, name: str, type_: str) -> str:
    return f"ALTER TABLE {quote(table)} ADD COLUMN {quote(name)} {type_}"


@lru_cache(maxsize=256)
def probe(table: str, id_field: str, rows: int) -> str:
    """What is there for these ids, as one JSON text of [id, version, hash, kind]: a single row, so that the
    interpreter is left and entered once. kind: 0 a row, 1 a deleted row, 2 a tombstone.

    Parameters: the ids, then the table's name.
    """
    ids = ", ".join(f"?{n}" for n in range(1, rows + 1))
    return f"""
        SELECT json_group_array(json_array(id, version, hash, kind)) FROM (
            SELECT CAST({quote(id_field)} AS TEXT) AS id, _version AS version, _hash AS hash,
                   deleted_at IS NOT NULL AS kind
            FROM {quote(table)} WHERE {quote(id_field)} IN ({ids})
            UNION ALL
            SELECT id, version, NULL, {TOMBSTONE} FROM {TOMBSTONES} 
            WHERE "table" = ?{rows + 1} AND id IN ({ids})
        )"""


@lru_cache(maxsize=256)
def upsert(table: str, id_field: str, columns: Sequence[str], rows: int) -> str:
    """Parameters per row: id, version, hash, then the columns. Only an older or different row is touched."""
    t = quote(table)
    names = [quote(id_field), "_version", "_hash", *map(quote, columns)]
    sets = [f"{name} = excluded.{name}" for name in names[1:]]
    return f"""
        INSERT INTO {t} ({", ".join(names)}) VALUES {_values(len(names), rows)}
        ON CONFLICT ({quote(id_field)}) DO UPDATE SET {", ".join(sets)}, deleted_at = NULL
        WHERE excluded._version > {t}._version
           OR excluded._version = {t}._version AND excluded._hash IS NOT {t}._hash"""


def page(table: str, id_field: str, columns: Sequence[str], *, is_first: bool) -> str:
    """Live rows in the order of their ids: id, then the columns. Parameter: the id of the last one before."""
    names = ", ".join(map(quote, [id_field, *columns]))
    after = "" if is_first else f"AND {quote(id_field)} > ?"
    return f"""
        SELECT {names} FROM {quote(table)} WHERE deleted_at IS NULL {after}
        ORDER BY {quote(id_field)} LIMIT {PAGE_ROWS}"""


@lru_cache(maxsize=256)
def doubt(table: str, id_field: str, rows: int) -> str:
    """What these rows have is not known: the next upsert writes them, if it is not older.

    Parameters: the ids.
    """
    ids = ", ".join("?" * rows)
    return f"UPDATE {quote(table)} SET _hash = '' WHERE {quote(id_field)} IN ({ids})"


@lru_cache(maxsize=256)
def deactivate(table: str, id_field: str, rows: int) -> str:
    """Parameters: the time, then id and version per row. Who was gone already stays gone since then."""
    t = quote(table)
    return f"""
        UPDATE {t} SET deleted_at = coalesce(deleted_at, ?), _hash = NULL, _version = v.column2
        FROM (VALUES {_values(2, rows)}) AS v
        WHERE {t}.{quote(id_field)} = v.column1 AND v.column2 >= {t}._version"""


@lru_cache(maxsize=256)
def remove(table: str, id_field: str, rows: int) -> str:
    """Parameters: the ids."""
    return f"DELETE FROM {quote(table)} WHERE {quote(id_field)} IN {_values(rows, 1)}"


@lru_cache(maxsize=256)
def bury(rows: int) -> str:
    """Remember how new a deletion was, so that nothing older brings the row back.

    Parameters per row: table, id, version.
    """
    return f"""
        INSERT INTO {TOMBSTONES} ("table", id, version) VALUES {_values(3, rows)}
        ON CONFLICT DO UPDATE SET version = max(version, excluded.version)"""


@lru_cache(maxsize=256)
def unbury(rows: int) -> str:
    """Parameters: the table's name, then the ids."""
    return f'DELETE FROM {TOMBSTONES} WHERE "table" = ? AND id IN {_values(rows, 1)}'


def _values(columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return ", ".join([row] * rows)
