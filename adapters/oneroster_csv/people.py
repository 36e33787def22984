"""OneRoster 1.2 has roles in a file of their own: this brings them back to their users, as 1.1 has them.

The index is a SQLite file, so memory does not grow with the district. It is kept between readings, because
a delta may bring a user without its roles, or a role without its user.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from bus.adapter import Row
from bus.errors import Refused

from .rows import BATCH_ROWS
from .tables import ROLE_COLUMNS
from .text import Warn

_SCHEMA: Final = """
pragma journal_mode = off;
pragma synchronous = off;
create table if not exists roles (
    id text primary key, user text, secondary integer, line integer, role text, org text);
create index if not exists roles_by_user on roles (user, secondary, line);
create table if not exists users (id text primary key, cells text) without rowid;
create temp table touched (user text primary key, line integer) without rowid;
"""

_ROLES_OF: Final = """
select json_group_array(json_array(user, role, org)) from (
    select user, role, org from roles where user in (select value from json_each(?))
    order by user, secondary, line)
"""

_ONLY_ROLES: Final = """
select touched.user, touched.line, users.cells from touched left join users on users.id = touched.user
where touched.user > ? order by touched.user limit ?
"""


class People:
    """Users with their roles, while one reading goes on."""

    def __init__(self, path: Path, *, delta: bool, warn: Warn) -> None:
        self._path, self._delta, self._warn = path, delta, warn
        self._new = path.with_suffix(".new")

    def joined(self, roles: Iterator[list[Row]], users: Iterator[list[Row]]) -> Iterator[list[Row]]:
        """The users, each with `role` and `orgSourcedIds`: primary first. Raises Refused."""
        self._new.unlink(missing_ok=True)
        if self._delta and self._path.exists():
            self._copy()
        index = sqlite3.connect(self._new, isolation_level=None)
        try:
            self._new.chmod(0o600)
            index.executescript(_SCHEMA)
            for batch in roles:
                self._take_roles(index, batch)
            for batch in users:
                yield self._take_users(index, batch)
            if self._delta:
                yield from self._only_roles(index)
        finally:
            index.close()

    def keep(self) -> None:
        """The reading was accepted: what it said is the base of the next delta."""
        if self._new.exists():
            self._new.replace(self._path)

    def _copy(self) -> None:
        before, after = sqlite3.connect(self._path), sqlite3.connect(self._new)
        try:
            before.backup(after)
        finally:
            before.close()
            after.close()

    def _take_roles(self, index: sqlite3.Connection, batch: Sequence[Row]) -> None:
        gone = [(row.values["sourcedId"],) for row in batch if row.deleted]
        rows = [
            (
                v["sourcedId"],
                v["userSourcedId"],
                v["roleType"] != "primary",
                row.line,
                v["role"],
                v["orgSourcedId"],
            )
            for row in batch
            if not row.deleted and (v := row.values)
        ]
        index.execute("begin")
        if self._delta:
            touched = [(row.values["userSourcedId"], row.line) for row in batch]
            index.executemany("insert or ignore into touched values (?, ?)", touched)
            # A role that moves to another user leaves the one who had it.
            had = "insert or ignore into touched select user, ? from roles where id = ?"
            index.executemany(had, [(row.line, row.values["sourcedId"]) for row in batch])
        index.executemany("delete from roles where id = ?", gone)
        index.executemany("insert or replace into roles values (?, ?, ?, ?, ?, ?)", rows)
        index.execute("commit")

    def _take_users(self, index: sqlite3.Connection, batch: list[Row]) -> list[Row]:
        ids = [row.values["sourcedId"] for row in batch]
        roles = _roles_of(index, ids)
        index.execute("begin")
        index.executemany("delete from touched where user = ?", [(one,) for one in ids])
        for row in batch:
            found = roles.get(row.values["sourcedId"], [])
            if not found and not row.deleted:
                self._roleless(row.line)
            _fill(row.values, found)
        gone = [(row.values["sourcedId"],) for row in batch if row.deleted]
        index.executemany("delete from users where id = ?", gone)
        index.executemany("delete from roles where user = ?", gone)
        cells = [(row.values["sourcedId"], json.dumps(row.values)) for row in batch if not row.deleted]
        index.executemany("insert or replace into users values (?, ?)", cells)
        index.execute("commit")
        return batch

    def _only_roles(self, index: sqlite3.Connection) -> Iterator[list[Row]]:
        """The users of whom a delta brings only roles."""
        after = ""
        while found := index.execute(_ONLY_ROLES, (after, BATCH_ROWS)).fetchall():
            roles = _roles_of(index, [user for user, _, _ in found])
            batch = []
            for user, line, cells in found:
                if cells is None:
                    what = (
                        "a role of a user that is neither in users.csv nor known. Send a bulk package first."
                    )
                    raise Refused([f"roles.csv:{line}:4: {what}"], code="unknown-user")
                row = Row(line, json.loads(cells))
                _fill(row.values, roles.get(user, []))
                batch.append(row)
            index.execute("begin")
            changed = [(json.dumps(row.values), row.values["sourcedId"]) for row in batch]
            index.executemany("update users set cells = ? where id = ?", changed)
            index.execute("commit")
            after = found[-1][0]
            yield batch

    def _roleless(self, line: int) -> None:
        if self._delta:
            what = "a user without a role in roles.csv, and none is known. Send a bulk package first."
            raise Refused([f"users.csv:{line}:1: {what}"], code="no-role")
        self._warn("users.csv: users without a role in roles.csv are read with none")


def _roles_of(index: sqlite3.Connection, users: Sequence[str]) -> Mapping[str, list[tuple[str, str]]]:
    roles: dict[str, list[tuple[str, str]]] = {}
    (found,) = index.execute(_ROLES_OF, (json.dumps(users),)).fetchone()
    for user, role, org in json.loads(found):
        roles.setdefault(user, []).append((role, org))
    return roles


def _fill(values: dict[str, str], roles: Sequence[tuple[str, str]]) -> None:
    role, orgs = ROLE_COLUMNS
    values[role] = roles[0][0] if roles else ""
    values[orgs] = ",".join(dict.fromkeys(org for _, org in roles))
