"""OneRoster 1.2 has roles in a file of their own: this brings them back to their users, as 1.1 has them.

The index is a SQLite file, so memory does not grow with the district. It is kept between readings, because
a delta may bring a user without its roles, or a role without its user.
"""

import json
import os
import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from adapters.files.chunks import BATCH_ROWS
from adapters.files.place import sync_folder
from adapters.files.text import Warn
from bus.adapter import Row
from bus.errors import Refused, Unavailable

from .tables import ROLE_COLUMNS

_SCHEMA: Final = """
pragma journal_mode = off;
pragma synchronous = off;
create table if not exists roles (
    id text primary key, user text, secondary integer, line integer, role text, org text);
create index if not exists roles_by_user on roles (user, secondary, line);
create table if not exists users (id text primary key, cells text) without rowid;
create temp table touched (user text primary key, line integer) without rowid;
"""

# Each statement carries a batch as JSON: one that steps through rows in a thread waits for the interpreter
# at each of them while the router is busy.

_TAKE_ROLES: Final = """
insert or replace into roles
select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 from json_each(?)
"""
_TOUCH: Final = "insert or ignore into touched select value ->> 1, value ->> 2 from json_each(?)"
_TOUCH_WHO_HAD: Final = """
insert or ignore into touched
select roles.user, value ->> 2 from json_each(?) cross join roles on roles.id = value ->> 0
"""
_TAKE_USERS: Final = "insert or replace into users select key, value from json_each(?)"
_FORGET: Final = "delete from {table} where {column} in (select value from json_each(?))"

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
    """Users with their roles: of the readings that were accepted, and of the one with this hash.

    The one at hand is `people-<hash>.new`, there only if it is whole and on disk: a start after a crash
    finds it, and accepting the reading makes it the base of the next delta.
    """

    def __init__(self, state: Path, sha256: str) -> None:
        self._base = state / "people.sqlite3"
        self._new = state / f"people-{sha256[:16]}.new"

    def joined(
        self, roles: Iterator[list[Row]], users: Iterator[list[Row]], *, delta: bool, warn: Warn
    ) -> Generator[list[Row], None, None]:
        """The users, each with `role` and `orgSourcedIds`: primary first. Raises Refused, Unavailable."""
        with self._sound(delta):
            part = self._new.with_suffix(".part")
            self.drop()
            if delta and self._base.exists():
                _copy(self._base, part)
            # Each batch may come in another thread, one at a time.
            with closing(sqlite3.connect(part, isolation_level=None, check_same_thread=False)) as index:
                part.chmod(0o600)
                index.executescript(_SCHEMA)
                yield from _Join(index, delta=delta, warn=warn).batches(roles, users)
            _sync(part)
            part.rename(self._new)
            sync_folder(self._new.parent)

    def keep(self) -> None:
        """The reading was accepted: what it said is the base of the next delta. Raises Unavailable."""
        with self._sound(False):
            if self._new.exists():
                self._new.replace(self._base)
                sync_folder(self._base.parent)
            for stale in [*self._base.parent.glob("people*.new"), *self._base.parent.glob("people*.part")]:
                stale.unlink(missing_ok=True)

    def drop(self) -> None:
        """Nothing of the reading was taken."""
        for path in (self._new, self._new.with_suffix(".part")):
            path.unlink(missing_ok=True)

    @contextmanager
    def _sound(self, delta: bool) -> Iterator[None]:
        try:
            yield
        except (sqlite3.DatabaseError, OSError) as error:
            if delta and type(error) is sqlite3.DatabaseError:  # not a database, or pages of it are damaged
                what = "it is damaged (expected the users and roles that a delta builds on)"
                reason = f"{self._base}: {what}. Send a bulk package: it is made anew from that."
                raise Refused([reason], code="people-damaged") from None
            runbook = "disk-full" if "full" in str(error) else "folder-unavailable"
            raise Unavailable(f"{self._base}: it cannot be written: {error}", runbook=runbook) from None


class _Join:
    """One pass over roles and users."""

    def __init__(self, index: sqlite3.Connection, *, delta: bool, warn: Warn) -> None:
        self._index, self._delta, self._warn = index, delta, warn

    def batches(self, roles: Iterator[list[Row]], users: Iterator[list[Row]]) -> Iterator[list[Row]]:
        for batch in roles:
            self._take_roles(batch)
        for batch in users:
            yield self._take_users(batch)
        if self._delta:
            yield from self._only_roles()

    def _take_roles(self, batch: Sequence[Row]) -> None:
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
        with _transaction(self._index) as index:
            if self._delta:
                touched = [(v["sourcedId"], v["userSourcedId"], line) for line, v, _ in batch]
                index.execute(_TOUCH, (json.dumps(touched),))
                # A role that moves to another user leaves the one who had it.
                index.execute(_TOUCH_WHO_HAD, (json.dumps(touched),))
            self._forget("roles", "id", _gone(batch))
            index.execute(_TAKE_ROLES, (json.dumps(rows),))

    def _take_users(self, batch: list[Row]) -> list[Row]:
        ids = [row.values["sourcedId"] for row in batch]
        roles = _roles_of(self._index, ids)
        for row in batch:
            found = roles.get(row.values["sourcedId"], [])
            if not found and not row.deleted:
                self._roleless(row.line)
            _fill(row.values, found)
        with _transaction(self._index) as index:
            if self._delta:
                self._forget("touched", "user", ids)
            self._forget("users", "id", _gone(batch))
            self._forget("roles", "user", _gone(batch))
            index.execute(_TAKE_USERS, (json.dumps(_by_id(batch)),))
        return batch

    def _only_roles(self) -> Iterator[list[Row]]:
        """The users of whom a delta brings only roles."""
        after = ""
        while found := self._index.execute(_ONLY_ROLES, (after, BATCH_ROWS)).fetchall():
            roles = _roles_of(self._index, [user for user, _, _ in found])
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
            with _transaction(self._index) as index:
                index.execute(_TAKE_USERS, (json.dumps(_by_id(batch)),))
            after = found[-1][0]
            yield batch

    def _forget(self, table: str, column: str, ids: Sequence[str]) -> None:
        if ids:
            self._index.execute(_FORGET.format(table=table, column=column), (json.dumps(ids),))

    def _roleless(self, line: int) -> None:
        if self._delta:
            what = "a user without a role in roles.csv, and none is known. Send a bulk package first."
            raise Refused([f"users.csv:{line}:1: {what}"], code="no-role")
        self._warn("users.csv: users without a role in roles.csv are read with none")


@contextmanager
def _transaction(index: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    index.execute("begin")
    yield index
    index.execute("commit")


def _copy(base: Path, to: Path) -> None:
    with closing(sqlite3.connect(base)) as before, closing(sqlite3.connect(to)) as after:
        before.backup(after)


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _by_id(batch: Sequence[Row]) -> dict[str, dict[str, str]]:
    return {row.values["sourcedId"]: row.values for row in batch if not row.deleted}


def _gone(batch: Sequence[Row]) -> list[str]:
    return [row.values["sourcedId"] for row in batch if row.deleted]


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
