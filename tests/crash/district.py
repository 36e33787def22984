"""The district of the crash test: its configuration, what its SIS exports, and a day of a clerk's edits."""

import csv
import io
import json
import random
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import yaml
from crash import accounts, records
from running import REPOSITORY, Place, lay_out

Cells = dict[str, str]

GUARDS = {"share": "100%", "records": 1_000_000}
"""Guards have tests of their own: here all flows."""


class Ports(NamedTuple):
    """Where the router finds the others."""

    nats: int
    idp: int
    lms: int


class Told(NamedTuple):
    """What a destination is told of: its table, the file of the export, and the file's column for each of its
    own.
    """

    table: str
    file: str
    columns: Mapping[str, str]


PEOPLE = {"username": "username", "email": "email", "givenName": "givenName", "familyName": "familyName"}
CLASSES = {"title": "title", "location": "location"}
ENROLLMENTS = {"user": "userSourcedId", "class": "classSourcedId", "role": "role", "endDate": "endDate"}
_PEOPLE = {name: name for name in PEOPLE}
_ENROLLMENTS = {name: name for name in ENROLLMENTS}

SYSTEMS: Mapping[str, tuple[Told, ...]] = {
    "warehouse": (
        Told("orgs", "orgs", {"name": "name", "parent": "parentSourcedId"}),
        Told("students", "users", {**PEOPLE, "grades": "grades", "orgs": "orgSourcedIds"}),
        Told("staff", "users", {**PEOPLE, "orgs": "orgSourcedIds"}),
        Told("classes", "classes", {**CLASSES, "school": "schoolSourcedId"}),
        Told("enrollments", "enrollments", ENROLLMENTS),
        Told("demographics", "demographics", {"birthDate": "birthDate"}),
    ),
    "idp": (Told("Users", "users", {**PEOPLE, "userType": "role"}),),
    "lms": (
        Told("users", "users", PEOPLE),
        Told("classes", "classes", CLASSES),
        Told("enrollments", "enrollments", ENROLLMENTS),
    ),
    "buses": (Told("riders", "users", PEOPLE), Told("enrollments", "enrollments", ENROLLMENTS)),
    "meals": (Told("eaters", "users", PEOPLE), Told("rooms", "classes", CLASSES)),
}
"""What each destination must have of the last export when all is quiet."""

ENTITIES: Mapping[str, tuple[str, ...]] = {
    "warehouse": (
        *("org", "term", "course", "class", "student", "staff", "guardian", "enrollment", "demographics"),
    ),
    "idp": ("student", "staff"),
    "lms": ("student", "staff", "class", "enrollment"),
    "buses": ("student", "staff", "enrollment"),
    "meals": ("student", "staff", "class"),
}
"""Whose changes each destination settles."""


def configured(folder: Path, ports: Ports) -> Place:
    """The example's SIS and warehouse, and four systems that can be looked into, at a pace for tests."""
    place = lay_out(folder, nats_url=f"nats://127.0.0.1:{ports.nats}")
    config = place.config
    (config / "assessment.yaml").unlink()
    for name in ("buses", "meals"):
        (place.state / name).mkdir()
    district = yaml.safe_load((config / "district.yaml").read_text())
    district["guards"] |= {name: GUARDS for name in ("creates", "updates", "removes")}
    district["guards"]["district"] = {name: GUARDS for name in ("creates", "updates", "removes")}
    written = {"district": district, "lms": _lms(ports.lms), "buses": _buses(), "meals": _meals()}
    warehouse = yaml.safe_load((config / "warehouse.yaml").read_text())
    warehouse["destination"]["settings"]["busy_timeout_s"] = 0.2
    idp = yaml.safe_load((REPOSITORY / "integrations" / "idp.yaml").read_text())
    del idp["source"], idp["destination"]["rate"]
    idp["destination"]["settings"] = {"url": f"http://127.0.0.1:{ports.idp}", "token": accounts.TOKEN}
    for name, says in {**written, "warehouse": warehouse, "idp": idp}.items():
        (config / f"{name}.yaml").write_text(json.dumps(says))
    enrollment = yaml.safe_load((config / "entities" / "enrollment.yaml").read_text())
    del enrollment["ends"]  # who leaves is gone, whatever day it is
    (config / "entities" / "enrollment.yaml").write_text(json.dumps(enrollment))
    return place


def _lms(port: int) -> object:
    users = {
        "read": "{path}?external_id={id}",
        "record": "data",
        "local_id": "data.id",
        "create": "POST {path}",
        "update": "PATCH {path}/{local_id}",
        "delete": "DELETE {path}/{local_id}",
    }
    settings = {
        "url": f"http://127.0.0.1:{port}",
        "token": records.TOKEN,
        "check": "/health",
        "version_field": records.VERSION,
        "tables": {
            "users": users,
            "classes": {"read": "{path}/{id}"},
            "enrollments": {"batch": {"path": "/enrollments/batch", "size": 200}},
        },
    }
    people = {"table": "users", "id": records.OURS, "fields": _PEOPLE}
    entities = {
        "student": people,
        "staff": people,
        "class": {"table": "classes", "fields": dict(CLASSES)},
        "enrollment": {"table": "enrollments", "fields": _ENROLLMENTS},
    }
    return _destination("lms", "http", settings, entities, concurrent=8)


def _buses() -> object:
    """Is told by files of changes."""
    settings = {
        "folder": "${state}/buses",
        "file": "{table}-{seq}.csv",
        "kind": "changes",
        "operation": {"column": "op", "create": "A", "update": "U", "delete": "D"},
    }
    people = {"table": "riders", "id": "id", "fields": _PEOPLE}
    enrollments = {"table": "enrollments", "id": "id", "fields": _ENROLLMENTS}
    return _destination(
        "buses", "delimited", settings, {"student": people, "staff": people, "enrollment": enrollments}
    )


def _meals() -> object:
    """Is told by full files."""
    people = {"table": "eaters", "id": "id", "fields": _PEOPLE}
    rooms = {"table": "rooms", "id": "id", "fields": dict(CLASSES)}
    settings = {"folder": "${state}/meals"}
    return _destination("meals", "delimited", settings, {"student": people, "staff": people, "class": rooms})


def _destination(
    system: str, adapter: str, settings: object, entities: object, **more: object
) -> dict[str, object]:
    says = {"adapter": adapter, "mode": "live", "linger": "200ms", **more}
    return {"system": system, "destination": {**says, "settings": settings, "entities": entities}}


class Export:
    """What the SIS has, and writes whenever it is asked: OneRoster 1.1, all of it."""

    def __init__(self, package: Path) -> None:
        with zipfile.ZipFile(package) as archive:
            texts = {name: archive.read(name).decode("utf-8-sig") for name in archive.namelist()}
        self._manifest = texts.pop("manifest.csv")
        self.tables: dict[str, dict[str, Cells]] = {
            name.removesuffix(".csv"): {
                row["sourcedId"]: row for row in csv.DictReader(io.StringIO(text, newline=""))
            }
            for name, text in texts.items()
        }

    def write(self, path: Path) -> Path:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr("manifest.csv", self._manifest)
            for name, rows in self.tables.items():
                out = io.StringIO(newline="")
                writer = csv.DictWriter(out, list(next(iter(rows.values()))), lineterminator="\r\n")
                writer.writeheader()
                writer.writerows(rows.values())
                archive.writestr(f"{name}.csv", out.getvalue())
        return path


class Clerk:
    """Whoever types into the SIS all day. Values come from a few, so that some go back to what they were."""

    def __init__(self, export: Export, chance: random.Random) -> None:
        self._tables = export.tables
        self._chance = chance
        self._left: list[dict[str, list[Cells]]] = []
        self._swapped: set[str] = set()
        self._new = 0
        self._deeds: list[tuple[Callable[[], None], int]] = [
            (self._renames, 40),
            (self._moves_class, 20),
            (self._ends, 20),
            (self._locates, 10),
            (self._swaps, 4),
            (self._enrolls, 8),
            (self._takes_out, 8),
            (self._takes_back, 6),
        ]

    def types(self, count: int) -> None:
        """So many edits."""
        deeds, weights = zip(*self._deeds, strict=True)
        for deed in self._chance.choices(deeds, weights, k=count):
            deed()

    def _any(self, table: str) -> Cells:
        return self._chance.choice(list(self._tables[table].values()))

    def _student(self) -> Cells:
        while (found := self._any("users"))["role"] != "student":
            pass
        return found

    def _renames(self) -> None:
        person, number = self._any("users"), self._chance.randrange(4)
        person["familyName"] = f"Name {number}"
        person["email"] = f"{person['sourcedId']}.{number}@school.example"

    def _swaps(self) -> None:
        """Two have got each other's name for signing in. They stay: the account of somebody who leaves is
        switched off as it is, and a name that it was yet to hand over stays with it.
        """
        one, other = self._student(), self._student()
        self._swapped |= {one["sourcedId"], other["sourcedId"]}
        one["username"], other["username"] = other["username"], one["username"]

    def _moves_class(self) -> None:
        self._any("enrollments")["classSourcedId"] = self._any("classes")["sourcedId"]

    def _ends(self) -> None:
        self._any("enrollments")["endDate"] = f"2027-06-{self._chance.randrange(1, 5):02d}"

    def _locates(self) -> None:
        self._any("classes")["location"] = f"Room {self._chance.randrange(9)}"

    def _enrolls(self) -> None:
        """Somebody new, in the classes of somebody who is there."""
        self._new += 1
        model, id_ = self._student(), f"new-{self._new}"
        person = {**model, "sourcedId": id_, "username": id_, "email": f"{id_}@school.example"}
        self._tables["users"][id_] = person
        for n, row in enumerate(self._enrollments(model["sourcedId"])):
            enrollment = {**row, "sourcedId": f"{id_}-{n}", "userSourcedId": id_}
            self._tables["enrollments"][enrollment["sourcedId"]] = enrollment

    def _takes_out(self) -> None:
        id_ = self._student()["sourcedId"]
        if id_ in self._swapped:
            return
        rows = {"users": [self._tables["users"][id_]], "enrollments": self._enrollments(id_)}
        if id_ in self._tables["demographics"]:
            rows["demographics"] = [self._tables["demographics"][id_]]
        for table, gone in rows.items():
            for row in gone:
                del self._tables[table][row["sourcedId"]]
        self._left.append(rows)

    def _takes_back(self) -> None:
        if self._left:
            for table, rows in self._left.pop(self._chance.randrange(len(self._left))).items():
                self._tables[table].update({row["sourcedId"]: row for row in rows})

    def _enrollments(self, user: str) -> list[Cells]:
        return [row for row in self._tables["enrollments"].values() if row["userSourcedId"] == user]
