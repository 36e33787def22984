"""What the laws need to know of the destinations that write files into a folder."""

import csv
import io
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any, ClassVar

from conformance.subjects import Subject

from adapters import delimited, oneroster_csv
from adapters.contract.disk import full_disk
from bus.adapter import EntityShape
from bus.messages import Value


@contextmanager
def large_cells() -> Iterator[None]:
    """A cell may have a megabyte meanwhile."""
    usual_bytes_max = csv.field_size_limit(1 << 24)
    try:
        yield
    finally:
        csv.field_size_limit(usual_bytes_max)


class Folder(Subject):
    """A folder that a system collects files from."""

    compares_versions = True
    patches = False

    @asynccontextmanager
    async def blocked(self) -> AsyncIterator[None]:
        """It is not mounted."""
        outbox, away = self.folder / "outbox", self.folder / "away"
        outbox.rename(away)
        try:
            yield
        finally:
            away.rename(outbox)

    def full(self) -> AbstractAsyncContextManager[None]:
        return full_disk()


class OneRosterCsv(Folder):
    """A folder that a system collects OneRoster 1.1 zips from."""

    shape = EntityShape(
        "student",
        "users",
        "sourcedId",
        (
            ("enabledUser", "boolean"),
            ("orgSourcedIds", "list"),
            ("role", "text"),
            ("username", "text"),
            ("givenName", "text"),
            ("middleName", "text"),
            ("familyName", "text"),
        ),
    )
    text_field = "middleName"

    def make(self, folder: str = "outbox") -> oneroster_csv.Destination:
        (self.folder / "outbox").mkdir(exist_ok=True)
        (self.folder / "state").mkdir(exist_ok=True)
        settings = {"folder": self.folder / folder, "version": "1.1"}
        return oneroster_csv.Destination(
            oneroster_csv.DestinationSettings.model_validate(settings),
            replace(self.surroundings(), state=self.folder / "state"),
        )

    def make_unreachable(self) -> oneroster_csv.Destination:
        return self.make("not-mounted")

    def fields(self, id_: str, text: str = "Ada") -> dict[str, Value]:
        return {
            "enabledUser": True,
            "orgSourcedIds": ("o1", "o2"),
            "role": "student",
            "username": f"user{id_}",
            "givenName": "Ada",
            "middleName": text,
            "familyName": "Lovelace",
        }

    def bad_fields(self, id_: str) -> dict[str, Value]:
        return {**self.fields(id_), "givenName": None}

    async def look(self, id_: str) -> dict[str, Value] | None:
        newest = max((self.folder / "outbox").glob("*.zip"), key=lambda path: path.name, default=None)
        if newest is None:
            return None
        with zipfile.ZipFile(newest) as archive:
            text = io.StringIO(archive.read("users.csv").decode(), newline="")
        with large_cells():
            row = next((row for row in csv.DictReader(text) if row["sourcedId"] == id_), None)
        if row is None or row["enabledUser"] == "false":
            return None
        return {
            **{name: row[name] or None for name, _ in self.shape.fields},
            "enabledUser": True,
            "orgSourcedIds": tuple(row["orgSourcedIds"].split(",")),
        }


class Delimited(Folder):
    """A folder that a system collects one file from, written whole each time."""

    shape = EntityShape(
        "student",
        "students",
        "Student ID",
        (
            ("name", "text"),
            ("grade", "integer"),
            ("average", "number"),
            ("enrolled", "boolean"),
            ("born", "date"),
            ("classes", "list"),
        ),
    )
    text_field = "name"
    form: ClassVar[dict[str, Any]] = {
        "delimiter": ";",
        "encoding": "utf-16",
        "tables": {"students": {"deactivated": {"enrolled": "N"}}},
    }

    def make(self, folder: str = "outbox") -> delimited.Destination:
        (self.folder / "outbox").mkdir(exist_ok=True)
        (self.folder / "state").mkdir(exist_ok=True)
        given = {"folder": self.folder / folder, "booleans": ["Y", "N"], "dates": "%m/%d/%Y", **self.form}
        return delimited.Destination(
            delimited.DestinationSettings.model_validate(given),
            replace(self.surroundings(), state=self.folder / "state"),
        )

    def make_unreachable(self) -> delimited.Destination:
        return self.make("not-mounted")

    def fields(self, id_: str, text: str = "Ada") -> dict[str, Value]:
        return {
            "name": text,
            "grade": 9,
            "average": 1.5,
            "enrolled": True,
            "born": "2011-02-28",
            "classes": ('art, and "craft"', "été"),
        }

    def bad_fields(self, id_: str) -> dict[str, Value]:
        return {**self.fields(id_), "born": "the 28th"}

    async def look(self, id_: str) -> dict[str, Value] | None:
        row = self.rows().get(id_)
        if row is None or row["enrolled"] == "N":
            return None
        month, day, year = row["born"].split("/")
        return {
            "name": row["name"] or None,
            "grade": int(row["grade"]),
            "average": float(row["average"]),
            "enrolled": {"Y": True, "N": False}[row["enrolled"]],
            "born": f"{year}-{month}-{day}",
            "classes": tuple(next(csv.reader([row["classes"]]))),
        }

    def rows(self) -> dict[str, dict[str, str]]:
        """What the system has once it has taken all files."""
        path = self.folder / "outbox" / "students.csv"
        if not path.exists():
            return {}
        text = io.StringIO(path.read_bytes().decode("utf-16"), newline="")
        with large_cells():
            return {row["Student ID"]: row for row in csv.DictReader(text, delimiter=";")}


class DelimitedChanges(Delimited):
    """A folder that a system collects files of changes from."""

    form: ClassVar[dict[str, Any]] = {
        "delimiter": "tab",
        "file": "{table}-{seq}.txt",
        "kind": "changes",
        "operation": {"column": "op", "create": "A", "update": "C", "delete": "D"},
        "tables": {"students": {"deactivated": {"enrolled": "N"}}},
    }

    def rows(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for path in sorted((self.folder / "outbox").glob("students-*.txt")):
            text = io.StringIO(path.read_bytes().decode(), newline="")
            with large_cells():
                for row in csv.DictReader(text, delimiter="\t"):
                    assert (row["op"] == "A") == (row["Student ID"] not in found)
                    found[row["Student ID"]] = row
                    if row["op"] == "D":
                        del found[row["Student ID"]]
        return found
