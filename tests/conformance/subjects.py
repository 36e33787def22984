"""What the laws need to know of each kind of destination. A new adapter is one class here, and one line in
`test_destinations.py`.
"""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from conformance.scim_server import TOKEN, accounts
from record_server import CLIENT, Tenant

from adapters import http, scim, sql
from adapters.contract import subject as contract
from adapters.contract.disk import full_disk
from adapters.contract.law import Broken
from bus.adapter import EntityShape
from bus.messages import Value

NOW_MS = 1_795_000_000_000


class Subject(contract.Subject):
    """A kind of destination, in front of a real system of its own."""

    def __init__(self, folder: Path, request: pytest.FixtureRequest) -> None:
        super().__init__(folder, lambda: NOW_MS)
        self.request = request


class Sql(Subject):
    """A SQLite file."""

    shape = EntityShape(
        "student",
        "student",
        "id",
        (
            ("id", "text"),
            ("name", "text"),
            ("grade", "integer"),
            ("average", "number"),
            ("enrolled", "boolean"),
            ("born", "date"),
            ("classes", "list"),
        ),
    )
    text_field = "name"
    compares_versions = True

    @property
    def path(self) -> Path:
        return self.folder / "warehouse.db"

    def make(self, url: str = "") -> sql.Destination:
        return sql.Destination(
            sql.Settings(url=url or f"sqlite:///{self.path}", busy_timeout_s=0), self.surroundings()
        )

    def make_unreachable(self) -> sql.Destination:
        return self.make(f"sqlite:///{self.folder}/not/there.db")

    def fields(self, id_: str, text: str = "Ada") -> dict[str, Value]:
        return {
            "id": id_,
            "name": text,
            "grade": 9,
            "average": 1.5,
            "enrolled": True,
            "born": "2011-02-28",
            "classes": ('art, and "craft"', "été"),
        }

    def bad_fields(self, id_: str) -> dict[str, Value]:
        return {**self.fields(id_), "grade": "ninth"}

    async def look(self, id_: str) -> dict[str, Value] | None:
        rows = self.rows("SELECT * FROM student WHERE id = ? AND deleted_at IS NULL", id_)
        if not rows:
            return None
        row = rows[0]
        row["enrolled"] = None if row["enrolled"] is None else bool(row["enrolled"])
        row["classes"] = None if row["classes"] is None else tuple(json.loads(row["classes"]))
        return {name: row[name] for name, _ in self.shape.fields}

    @asynccontextmanager
    async def blocked(self) -> AsyncIterator[None]:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield

    def full(self) -> AbstractAsyncContextManager[None]:
        return full_disk()

    def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        connection = sqlite3.connect(self.path)
        try:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query, parameters)]
        finally:
            connection.close()


class Scim(Subject):
    """The scim2-server of this session, a tenant of its own in it."""

    shape = EntityShape(
        "student",
        "Users",
        "userName",
        (
            ("userName", "text"),
            ("name.givenName", "text"),
            ("name.familyName", "text"),
            ("displayName", "text"),
            ("emails.work", "text"),
            ("active", "boolean"),
            ("userType", "text"),
            ("enterprise.employeeNumber", "text"),
        ),
    )
    text_field = "displayName"
    compares_versions = False

    @property
    def address(self) -> str:
        return f"{self.request.getfixturevalue('scim_url')}/{self.folder.name}"

    @property
    def url(self) -> str:
        return self.address

    def make_through(self, url: str, timeout_s: float) -> scim.Destination:
        return self.make(url, timeout_s=timeout_s)

    def make(
        self, url: str = "", token: str = TOKEN, concurrent: int = 8, **settings: Any
    ) -> scim.Destination:
        given = scim.Settings.model_validate({"url": url or self.url, "token": token, **settings})
        return scim.Destination(given, replace(self.surroundings(), concurrent=concurrent))

    def make_unreachable(self) -> scim.Destination:
        return self.make("http://127.0.0.1:9")  # the discard port: nobody listens

    def make_refused(self) -> scim.Destination:
        return self.make(token="yesterdays-token")

    def fields(self, id_: str, text: str = "Ada") -> dict[str, Value]:
        return {
            "userName": f"user{id_}",
            "name.givenName": "Ada",
            "name.familyName": "Lovelace",
            "displayName": text,
            "emails.work": f"user{id_}@school.example",
            "active": True,
            "userType": "Student",
            "enterprise.employeeNumber": f"E{id_}",
        }

    def bad_fields(self, id_: str) -> dict[str, Value]:
        return {**self.fields(id_), "userName": None}

    async def look(self, id_: str) -> dict[str, Value] | None:
        found = await asyncio.to_thread(accounts, self.url, id_)
        if len(found) > 1:
            raise Broken("one account", f"{len(found)} accounts of one record")
        if not found or found[0].get("active") is False:
            return None
        [account] = found
        enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
        emails = {email["type"]: email["value"] for email in account.get("emails", ())}
        return {
            "userName": account.get("userName"),
            "name.givenName": account.get("name", {}).get("givenName"),
            "name.familyName": account.get("name", {}).get("familyName"),
            "displayName": account.get("displayName"),
            "emails.work": emails.get("work"),
            "active": account.get("active"),
            "userType": account.get("userType"),
            "enterprise.employeeNumber": account.get(enterprise, {}).get("employeeNumber"),
        }


class Http(Subject):
    """A system that keeps JSON records under our ids."""

    shape = EntityShape(
        "student",
        "students",
        "id",
        (
            ("name", "text"),
            ("note", "text"),
            ("grade", "integer"),
            ("average", "number"),
            ("enrolled", "boolean"),
            ("classes", "list"),
        ),
    )
    text_field = "note"
    compares_versions = False
    table: ClassVar[dict[str, Any]] = {
        "read": "{path}/{id}",
        "update": "PATCH {path}/{id}",
        "body": {"active": True},
        "list": {"records": "data", "next": "link", "total": "total"},
    }

    @property
    def tenant(self) -> Tenant:
        return self.request.getfixturevalue("records").tenant(self.folder.name)

    @property
    def address(self) -> str:
        return f"{self.request.getfixturevalue('records').url}/{self.folder.name}"

    @property
    def url(self) -> str:
        return self.address

    def make_through(self, url: str, timeout_s: float) -> http.Destination:
        return self.make(url, timeout_s=timeout_s)

    def make(
        self, url: str = "", concurrent: int = 8, table: dict[str, Any] | None = None, **settings: Any
    ) -> http.Destination:
        tables = {"students": self.table if table is None else table}
        given = {"url": url or self.url, "token": TOKEN, "check": "/health", "tables": tables, **settings}
        return http.Destination(
            http.Settings.model_validate(given), replace(self.surroundings(), concurrent=concurrent)
        )

    def make_unreachable(self) -> http.Destination:
        return self.make("http://127.0.0.1:9")  # the discard port: nobody listens

    def make_refused(self) -> http.Destination:
        return self.make(token="yesterdays-token")

    def fields(self, id_: str, text: str = "Ada") -> dict[str, Value]:
        return {
            "name": f"Ada {id_}",
            "note": text,
            "grade": 9,
            "average": 1.5,
            "enrolled": True,
            "classes": ('art, and "craft"', "été"),
        }

    def bad_fields(self, id_: str) -> dict[str, Value]:
        return {**self.fields(id_), "grade": "ninth"}

    async def look(self, id_: str) -> dict[str, Value] | None:
        found = [each for each in self.tenant.table().values() if each[self.shape.id_field] == id_]
        if len(found) > 1:
            raise Broken("one record", f"{len(found)} of one record")
        if not found or not found[0]["active"]:
            return None
        [record] = found
        return {**{name: record[name] for name in self.fields(id_)}, "classes": tuple(record["classes"])}


class HttpOwnIds(Http):
    """A system that makes ids of its own."""

    shape = Http.shape._replace(id_field="external_id")
    table: ClassVar[dict[str, Any]] = {
        "read": "{path}?external_id={id}",
        "record": "data",
        "local_id": "data.id",
        "create": "POST {path}",
        "update": "PATCH {path}/{local_id}",
        "delete": "DELETE {path}/{local_id}",
        "deactivate": "PATCH {path}/{local_id}",
        "body": {"active": True},
        "list": {"records": "data", "local_id": "id", "next": "page", "param": "page"},
    }


class HttpBlind(Http):
    """A system that is told and never asked."""

    looks = False
    patches = False
    table: ClassVar[dict[str, Any]] = {"body": {"active": True}}


class HttpBatches(Http):
    """A system that takes many records in one request."""

    looks = False
    table: ClassVar[dict[str, Any]] = {
        "batch": {"path": "/students/batch", "size": 3},
        "body": {"active": True},
    }


class HttpOAuth2(Http):
    """A system that wants tokens of a server of their own, and forgets them."""

    def make(self, url: str = "", **settings: Any) -> http.Destination:
        id_, secret = CLIENT
        client = {"token_url": f"{self.url}/token", "client_id": id_, "client_secret": secret}
        return super().make(url, **{"token": None, "oauth2": client, **settings})

    def make_refused(self) -> http.Destination:
        client = {"token_url": f"{self.url}/token", "client_id": "who", "client_secret": "else"}
        return self.make(oauth2=client)
