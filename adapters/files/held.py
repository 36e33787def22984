"""What a destination of files holds: each row with its version, and how many the files had.

One statement carries a thousand rows as JSON: a thread that steps through rows one at a time waits for the
interpreter at each of them while the router is busy.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Final, NamedTuple

AT_ONCE: Final = 1_000

_SCHEMA: Final = """
create table if not exists rows (
    tab text not null, id text not null, version integer not null, cells text,
    primary key (tab, id)) without rowid;
create table if not exists counts (tab text primary key, live integer not null) without rowid;
create table if not exists files (
    seq integer primary key, name text not null, counts text not null, at_ms integer not null default 0);
create table if not exists holds (
    tab text not null, id text not null, asked_ms integer not null, primary key (tab, id)) without rowid;
create table if not exists placing (seq integer primary key, rows text not null);
"""
# `files.name` has the names of one write with / between them, '' once they are not kept any more. `placing`
# has the write whose files may not be in place yet, with its rows. `holds` has the rows whose removal is
# held, and when it was asked for last.
# `cells` is null once the record is deleted: the version stays, so that nothing older brings it back.

_GET: Final = """
select json_group_array(json_array(id, version, json(cells))) from rows
where tab = ?1 and id in (select value from json_each(?2))
"""

_PUT: Final = """
insert into rows (tab, id, version, cells)
select ?1, json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
from json_each(?2) where true
on conflict (tab, id) do update set version = excluded.version, cells = excluded.cells
"""

_SCAN: Final = """
select max(id), json_group_array(json(cells)) from (
    select id, cells from rows where tab = ?1 and id > ?2 and cells is not null order by id limit ?3)
"""

_LINES: Final = """
select max(id), group_concat({line} || char(13, 10), '') from (
    select id, {cells} from rows where tab = ?1 and id > ?2 and cells is not null order by id limit ?3)
"""
_CELL: Final = """coalesce(cells ->> '$."{name}"', '') as c{number}"""
_QUOTED: Final = """
case when c{number} glob '*[",' || char(13, 10) || ']*'
then '"' || replace(c{number}, '"', '""') || '"' else c{number} end"""

_COUNT: Final = """
insert into counts values (?1, ?2) on conflict (tab) do update set live = live + excluded.live
"""
_LAST: Final = "select coalesce(max(seq), 0) from files"
_OTHERWISE: Final = """
select id, cells ->> ?2 from rows where tab = ?1 and cells is not null and cells ->> ?2 <> id
"""
_NAMED: Final = "select seq, name, at_ms from files where name <> '' order by seq desc"
_PLACING: Final = "select seq, name, rows from placing join files using (seq) order by seq"
_FORGET: Final = """
delete from files where name = '' and seq < (select max(seq) from files where at_ms < ?1)
and seq not in (select seq from files order by seq desc limit ?2)
"""
_PEAKS: Final = """
select key, max(value) from files, json_each(counts)
where seq >= coalesce((select max(seq) from files where at_ms < ?), 0) group by key
"""
_HOLD: Final = "insert or replace into holds select ?1, value, ?3 from json_each(?2)"
_RELEASE: Final = "delete from holds where tab = ?1 and id in (select value from json_each(?2))"
_HOLDS: Final = """
select count(*) from holds
where tab = ?1 and asked_ms >= ?3 and id not in (select value from json_each(?2))
"""

Cells = Mapping[str, str]
"""The cells of a row that are not blank."""


class Held(NamedTuple):
    """One row as it is held. `cells` None: it is deleted."""

    version: int
    cells: Cells | None


class Placing(NamedTuple):
    """One write: its number, the names of its files, and the (table, id) of the rows that it brings."""

    seq: int
    names: list[str]
    rows: list[tuple[str, str]]


class Holdings:
    """The SQLite file. Each change of it is inside `transaction`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        path.chmod(0o600)
        self._db.executescript(
            "pragma journal_mode = wal; pragma synchronous = full; pragma cache_size = -8000;" + _SCHEMA
        )
        if "at_ms" not in {name for _, name, *_ in self._db.execute("pragma table_info (files)")}:
            self._db.execute("alter table files add column at_ms integer not null default 0")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it, or nothing."""
        self._db.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")

    def get(self, table: str, ids: Sequence[str]) -> dict[str, Held]:
        """What is held of these."""
        found: dict[str, Held] = {}
        for start in range(0, len(ids), AT_ONCE):
            (text,) = self._db.execute(_GET, (table, json.dumps(ids[start : start + AT_ONCE]))).fetchone()
            found |= {id_: Held(version, cells) for id_, version, cells in json.loads(text)}
        return found

    def put(self, table: str, rows: Sequence[tuple[str, int, Cells | None]], grown: int) -> None:
        """Insert or replace (id, version, cells); `grown`: how many more are live now (or fewer)."""
        if grown:
            self._db.execute(_COUNT, (table, grown))
        in_order = sorted(rows, key=itemgetter(0))  # ids are random: page by page is five times as fast
        for start in range(0, len(in_order), AT_ONCE):
            self._db.execute(_PUT, (table, json.dumps(in_order[start : start + AT_ONCE])))
        self._db.execute(_RELEASE, (table, json.dumps([id_ for id_, _, _ in rows])))

    def scan(self, table: str) -> Iterator[Cells]:
        """All rows of a table, by id."""
        after = ""
        while True:
            last, text = self._db.execute(_SCAN, (table, after, AT_ONCE)).fetchone()
            if last is None:
                return
            yield from json.loads(text)
            after = last

    def lines(self, table: str, header: Sequence[str]) -> Iterator[str]:
        """All rows of a table as CSV text (RFC 4180), by id, many lines at a time.

        Written by SQLite, because Python would keep the router waiting for it: files are written often.
        """
        named = list(enumerate(header))
        query = _LINES.format(
            line=" || ',' || ".join(_QUOTED.format(number=number) for number, _ in named),
            cells=", ".join(_CELL.format(name=name, number=number) for number, name in named),
        )
        after = ""
        while True:
            last, text = self._db.execute(query, (table, after, AT_ONCE)).fetchone()
            if last is None:
                return
            yield text
            after = last

    def counts(self) -> dict[str, int]:
        """How many rows each table has; a table of which all are deleted has 0."""
        return dict(self._db.execute("select tab, live from counts").fetchall())

    def otherwise(self, table: str, column: str) -> dict[str, str]:
        """By what stands in a column of a table the ids of its rows, where that is not the id itself."""
        return {cell: id_ for id_, cell in self._db.execute(_OTHERWISE, (table, f'$."{column}"'))}

    def newest(self) -> list[str]:
        """The names of the files of the last write; none was written: none."""
        found = self._db.execute(f"{_NAMED} limit 1").fetchone()
        return found[1].split("/") if found else []

    def last_file(self) -> int:
        """Number of the last file that was written; 0 if there is none."""
        return int(self._db.execute(_LAST).fetchone()[0])

    def peaks(self, since_ms: int) -> dict[str, int]:
        """The most rows that each table has had in a file that was the newest at some time since then."""
        return dict(self._db.execute(_PEAKS, (since_ms,)).fetchall())

    def hold(self, table: str, ids: Sequence[str], now_ms: int) -> None:
        """The removals of these are held. Until they are put."""
        self._db.execute(_HOLD, (table, json.dumps(ids), now_ms))

    def holds(self, table: str, besides: Sequence[str], since_ms: int) -> int:
        """How many removals of other rows are held, and have been asked for since then."""
        (found,) = self._db.execute(_HOLDS, (table, json.dumps(besides), since_ms)).fetchone()
        return int(found)

    def wrote(self, write: Placing, counts: Mapping[str, int], at_ms: int) -> None:
        """The parts of this write are on disk, and are to be put in place."""
        sql = "insert into files (seq, name, counts, at_ms) values (?, ?, ?, ?)"
        self._db.execute(sql, (write.seq, "/".join(write.names), json.dumps(counts), at_ms))
        self._db.execute("insert into placing values (?, ?)", (write.seq, json.dumps(write.rows)))

    def placing(self) -> list[Placing]:
        """The writes whose files may not be in place yet: at most the last one."""
        found = self._db.execute(_PLACING).fetchall()
        return [
            Placing(seq, name.split("/"), [(tab, id_) for tab, id_ in json.loads(rows)])
            for seq, name, rows in found
        ]

    def placed(self, seq: int) -> None:
        """All files of this write are in place, and on disk."""
        self._db.execute("delete from placing where seq = ?", (seq,))

    def files_beyond(self, keep: int, before_ms: int) -> tuple[list[tuple[int, list[str]]], set[str]]:
        """The writes older than the newest `keep` and than that time, and the names of all others."""
        found = self._db.execute(_NAMED).fetchall()
        old = [(seq, name.split("/")) for seq, name, at_ms in found[keep:] if at_ms < before_ms]
        gone = {seq for seq, _ in old}
        return old, {each for seq, name, _ in found if seq not in gone for each in name.split("/")}

    def forget_files(self, numbers: Iterable[int], keep: int, before_ms: int) -> None:
        """These are gone. Their counts stay until a newer one is older than that too."""
        for seq in numbers:
            self._db.execute("update files set name = '' where seq = ?", (seq,))
        self._db.execute(_FORGET, (before_ms, keep))

    def close(self) -> None:
        """Twice is fine."""
        self._db.close()
