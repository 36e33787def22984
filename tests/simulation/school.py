"""What the model district's sources say, day by day, and what the hub should make of it.

Written from the rules, not from the router: a reading comes with the truth that must follow from it.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final

from simulation.district import COLUMNS, HR, SENIOR, SIS

from bus.adapter import Row

Name = tuple[str, str]
"""(entity, local_id)."""
Values = dict[str, str]
State = dict[Name, Values]

GRADES: Final = ("9", "10", "11", SENIOR, "")
GHOST: Final = "ghost"
BAD: Final = ("cut", "twice", "empty", "dangling", "old")


@dataclass
class Script:
    """One reading as the source will give it, and what must become of it.

    `observed_s`: when its state was true, where that is not when it comes.
    `after`: what the hub knows of this source's records once it is taken.
    """

    number: int
    at_s: float
    full: bool
    tables: dict[str, list[Row]]
    after: State
    bad: str = ""
    observed_s: float | None = None
    settled: str = ""
    lines: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"reading-{self.number}"


class School:
    """One source's own world, from day to day. `hub`: what the hub should know of it."""

    def __init__(self, system: str, chance: Random, size: int) -> None:
        self.system = system
        self.chance = chance
        self.real: State = {}
        self.hub: State = {}
        self._gap = False
        self._next = 1
        self._open(size)

    def scripts(self, days: int) -> list[Script]:
        """A reading for each day, at its time."""
        found: list[Script] = []
        at_s = 0.0
        for number in range(1, days + 1):
            at_s += self.chance.choice((1.0, 60.0, 3600.0, 24 * 3600.0))
            if number > 1:
                self._evolve()
            script = self._script(number, at_s)
            if not script.bad:
                self.hub = script.after
            # After changes that were refused no more are taken, until all records come.
            if not script.full and script.bad == "twice":
                self._gap = True
            elif script.full and not script.bad:
                self._gap = False
            found.append(script)
        return found

    def _open(self, size: int) -> None:
        if self.system == "hr":
            for number in range(max(size // 5, 2)):
                self.real["staff", f"t{number}"] = self._values("staff")
                self.real["student", f"s{number}"] = self._values("student")
            return
        for _ in range(max(size // 6, 2)):
            self._add("class")
        for _ in range(size):
            self._arrive()

    def _id(self) -> str:
        self._next += 1
        return str(self._next)

    def _add(self, entity: str, **given: str) -> str:
        id_ = f"{entity[0]}{self._id()}"
        self.real[entity, id_] = {**self._values(entity), **given}
        return id_

    def _arrive(self) -> None:
        student = self._add("student")
        for _ in range(self.chance.choice((1, 1, 2))):
            self._add("enrollment", student=student, **{"class": self._some("class")})

    def _values(self, entity: str) -> Values:
        chance = self.chance
        text = f"N{chance.randrange(10_000)}"
        values = {
            "name": text,
            "title": text,
            "grade": chance.choice(GRADES),
            "credits": chance.choice(("", str(chance.randrange(100)))),
            "badge": text,
            "after": chance.choice(("", self._some("class"))) if entity == "class" else "",
            "role": chance.choice(("student", "aide")),
            "student": "",
            "class": "",
        }
        return {name: values[name] for name in COLUMNS[self.system, entity]}

    def _some(self, entity: str) -> str:
        ids = sorted(id_ for kind, id_ in self.real if kind == entity)
        return self.chance.choice(ids) if ids else ""

    # From one day to the next

    def _evolve(self) -> None:
        for _ in range(self.chance.randrange(6)):
            self.chance.choice(
                (self._edit, self._edit, self._edit, self._arrives, self._leaves, self._back)
            )()

    def _edit(self) -> None:
        entity, id_ = self.chance.choice(sorted(self.real))
        values = self.real[entity, id_]
        name = self.chance.choice([n for n in COLUMNS[self.system, entity] if n not in ("student", "class")])
        fresh = self._values(entity)[name]
        if name == "after" and fresh == id_:
            fresh = ""
        self.real[entity, id_] = {**values, name: fresh}

    def _arrives(self) -> None:
        if self.system == "sis":
            self._arrive()
        else:
            self._add("staff")

    def _leaves(self) -> None:
        if self.system == "hr":
            if self._few_gone("staff"):
                self.real.pop(("staff", self._some("staff")), None)
            return
        student = self._some("student")
        if self._few_gone("enrollment"):
            for name in [n for n, v in self.real.items() if v.get("student") == student]:
                del self.real[name]
            del self.real["student", student]

    def _few_gone(self, entity: str) -> bool:
        """So few that no guard takes it for a file that was cut."""
        was = sum(kind == entity for kind, _ in self.hub)
        gone = sum(name[0] == entity and name not in self.real for name in self.hub)
        left = sum(kind == entity for kind, _ in self.real)
        return gone + 2 < 10 and left > 3 and was > 0

    def _back(self) -> None:
        """Somebody who had left returns, under the same id."""
        gone = sorted(n for n in self.hub if n not in self.real and n[0] in ("student", "staff"))
        if gone:
            name = self.chance.choice(gone)
            self.real[name] = self._values(name[0])

    # A reading of a day

    def _script(self, number: int, at_s: float) -> Script:
        chance = self.chance
        full = number == 1 or chance.random() < 0.7
        names = [n for n in self.real if full or self.real[n] != self.hub.get(n)]
        gone = [] if full else [n for n in self.hub if n not in self.real]
        script = Script(number, at_s, full, {}, dict(self.real))
        rows: list[tuple[str, Values, bool]] = []
        for entity in SIS if self.system == "sis" else HR:
            of = [(id_, self.real[kind, id_]) for kind, id_ in names if kind == entity]
            chance.shuffle(of)
            rows = [(id_, values, False) for id_, values in of]
            rows += [(id_, dict.fromkeys(self.hub[k, id_], ""), True) for k, id_ in gone if k == entity]
            script.tables[entity] = _rows(rows)
        if self._gap and not full:
            script.bad, script.after = "gap", self.hub
        elif self.system == "sis":
            if number > 1 and chance.random() < 0.25:
                self._spoil(script)
            elif chance.random() < 0.5:
                self._blemish(script)
        return script

    def _blemish(self, script: Script) -> None:
        """A row or two that cannot be taken; the rest is."""
        chance, tables = self.chance, script.tables
        students = [row for row in tables["student"] if not row.deleted]
        kind = chance.choice(("blank", "dangling", "loose", "again"))
        if kind == "again" and students:
            again = chance.choice(students)
            tables["student"].append(again._replace(line=len(tables["student"]) + 2))
        known = [row for row in students if ("student", row.values["id"]) in self.hub]
        if kind == "blank" and known:
            self._set_aside(script, "student", chance.choice(known), {"name": " "})
        enrollments = [row for row in tables["enrollment"] if not row.deleted]
        if len(enrollments) >= 10 and kind in ("dangling", "loose"):
            row = chance.choice(enrollments)
            if kind == "dangling":
                self._set_aside(script, "enrollment", row, {"student": GHOST})
            else:
                _replace(tables["enrollment"], row, {"class": GHOST})
                script.after["enrollment", row.values["id"]] = {
                    **script.after["enrollment", row.values["id"]],
                    "class": GHOST,
                }
        script.lines.append(kind)

    def _set_aside(self, script: Script, entity: str, row: Row, wrong: Values) -> None:
        """The hub keeps what it knows of that record, or knows nothing of it still."""
        _replace(script.tables[entity], row, wrong)
        name = (entity, row.values["id"])
        if name in self.hub:
            script.after[name] = self.hub[name]
        else:
            del script.after[name]

    def _spoil(self, script: Script) -> None:
        """Make it a reading of which nothing may be taken."""
        students = script.tables["student"]
        kinds = [kind for kind in BAD if script.full or kind in ("twice", "old")]
        script.bad = self.chance.choice(kinds)
        held = sum(kind == "student" for kind, _ in self.hub)
        if script.bad == "twice" and not [row for row in students if not row.deleted]:
            script.bad = ""
        elif script.bad == "twice":
            first = next(row for row in students if not row.deleted)
            values = {**first.values, "name": "another"}
            students.append(Row(len(students) + 2, values))
        elif script.bad == "cut":
            del students[max(held - 10, 0) // 2 :]
        elif script.bad == "old":
            script.observed_s = -1.0
        elif script.bad == "empty":
            students.clear()
        elif script.bad == "dangling":
            for row in list(script.tables["enrollment"])[::2]:
                _replace(script.tables["enrollment"], row, {"student": GHOST})
        if script.bad:
            script.after = self.hub


def names_in(scripts: Mapping[str, list[Script]]) -> list[str]:
    """Every record that the sources tell of, as "sis/student/s3"."""
    found = {
        f"{system}/{entity}/{row.values['id']}"
        for system, each in scripts.items()
        for script in each
        for entity, rows in script.tables.items()
        for row in rows
    }
    return sorted(found)


def without_these(scripts: list[Script], system: str, names: Container[str]) -> list[Script]:
    """The same, from which some records, and what refers to them, are left out."""
    for script in scripts if names else ():
        for entity in script.tables:
            script.tables[entity] = [
                row for row in script.tables[entity] if not _left_out(system, entity, row.values, names)
            ]
        script.after = {
            (entity, id_): values
            for (entity, id_), values in script.after.items()
            if not _left_out(system, entity, {"id": id_, **values}, names)
        }
    return scripts


def _left_out(system: str, entity: str, values: Mapping[str, str], names: Container[str]) -> bool:
    refers = [
        ("student", values.get("student")),
        ("class", values.get("class")),
        ("class", values.get("after")),
    ]
    return any(f"{system}/{kind}/{id_}" in names for kind, id_ in [(entity, values["id"]), *refers])


def _rows(rows: list[tuple[str, Values, bool]]) -> list[Row]:
    return [Row(line, {"id": id_, **values}, gone) for line, (id_, values, gone) in enumerate(rows, 2)]


def _replace(rows: list[Row], row: Row, values: Mapping[str, str]) -> None:
    rows[rows.index(row)] = row._replace(values={**row.values, **values})
