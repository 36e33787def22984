"""Three systems that tell and are told, and the people who work in them, at times that the seed chooses.

`sis` is a file: exported every night, and what it is told it takes up one to three nights late. `idp` is told
at once and looked through now and then; its clock may be wrong. `lms` posts what was edited, and may post it
twice. Nearly every value is typed once in the world, so that it can be told where it comes from.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Final

from simulation.clock import START_MS, VirtualLoop
from simulation.school import Script
from simulation.systems import Far, Held

from bus.adapter import Delivery, Receipt, Row, Said
from bus.messages import Op, Outcome, Value
from router.core.rules import EntityRule, FieldRule, Period, Type

HOUR_S: Final = 3600.0
NIGHT_S: Final = 3 * HOUR_S
"""How long a day is here."""
LATE_NIGHTS_MAX: Final = 3
TURN_S: Final = 4.2 * NIGHT_S
"""When the badge goes from sis to idp."""
SKEW_MS: Final = 300_000
SKEWS_S: Final = (0.0, 0.0, 0.0, -90.0, 90.0)
TELLERS: Final = ("sis", "idp", "lms")
OPERATOR: Final = "operator"


def _field(name: str, *systems: str, **also: object) -> FieldRule:
    owner = systems[0] if len(systems) == 1 else ""
    owners = (Period(systems=systems),) if len(systems) > 1 else ()
    given = {"owner": owner, "owners": owners, **also}
    return FieldRule(name=name, type=Type.TEXT, **given)  # type: ignore[arg-type]


_TURN_MS: Final = START_MS + int(TURN_S * 1000)
_DATED: Final = (Period(systems=("sis",), until_ms=_TURN_MS), Period(systems=("idp",)))
STUDENT: Final = EntityRule(
    name="student",
    owner="sis",
    fields={
        each.name: each
        for each in (
            _field("name", "sis"),
            _field("email", "idp"),
            _field("nick", "lms", "sis", ties="latest"),
            _field("grade", "sis", "idp"),
            _field("pet", "lms", "idp", ties="ask"),
            _field("badge", owners=_DATED),
            _field("street", "lms", group=("street", "town")),
            _field("town", "lms", group=("street", "town")),
        )
    },
    two_way=frozenset(TELLERS),
    lags_s={"sis": (LATE_NIGHTS_MAX + 2) * NIGHT_S},
)
FIELDS: Final = tuple(STUDENT.fields)


@dataclass
class Teller(Far):
    """A system in which people work. `records` is what it has; `exported`: its readings, in order."""

    typed: dict[tuple[str, str], set[Value]] = field(default_factory=dict)
    """By record and field all that was ever typed here."""
    exported: list[Script] = field(default_factory=list)
    imports: list[tuple[int, Delivery]] = field(default_factory=list)
    """What was written for a system that takes up late: in how many nights, what."""
    late: Random | None = None
    skew_s: float = 0.0
    unposted: dict[str, dict[str, None]] = field(default_factory=dict)
    echoes: bool = False
    """It posts what it was told too."""
    posts: int = 0

    def local_id(self, key: str) -> str:
        id_ = key.partition("/")[2]
        return f"{self.name}-{id_}" if self.gives_ids else id_

    # What people do

    def type(self, key: str, name: str, value: Value) -> None:
        """Somebody types a value."""
        held = self.records[key]
        held.fields = {**held.fields, name: value}
        self.typed.setdefault((key, name), set()).add(value)
        self.unposted.setdefault(key, {})[name] = None

    def export(self, at_s: float) -> None:
        """All that it has, as it is now."""
        rows = [
            Row(line, {"id": self.local_id(key), **{n: str(v or "") for n, v in held.fields.items()}})
            for line, (key, held) in enumerate(self.records.items(), 2)
        ]
        number = len(self.exported) + 1
        script = Script(number, at_s, True, {"student": rows}, {}, observed_s=at_s + self.skew_s)
        self.exported.append(script)

    # What it is told

    def write(self, delivery: Delivery) -> Receipt:
        if delivery.local_id not in ("", self.local_id(delivery.key)):
            self.violations.append(f"{self.name}: {delivery.key} under another id")
        if self.late is None:
            receipt = super().write(delivery)
            self.unposted.pop(delivery.key, None)
            if self.echoes and receipt.outcome is Outcome.DELIVERED and delivery.op is not Op.DELETE:
                self.unposted[delivery.key] = dict.fromkeys(delivery.fields)
            return receipt
        if delivery.op is not Op.DELETE:
            due = max([self.late.randint(1, LATE_NIGHTS_MAX), *[due for due, _ in self.imports]])
            self.imports.append((due, delivery))  # files are taken up in their order
        return Receipt(delivery.key, Outcome.DELIVERED)

    def take_up(self) -> None:
        """A night: what is due stands now, of records that are still here."""
        left = []
        for due, delivery in self.imports:
            if due > 1:
                left.append((due - 1, delivery))
            elif delivery.key in self.records:
                held = self.records[delivery.key]
                held.fields = {**held.fields, **delivery.fields}
        self.imports = left

    def post(self, at_s: float) -> tuple[str, Said] | None:
        """The next news as it stands now, and of which record; None: there is none. It may travel long."""
        key = next(iter(self.unposted), None)
        if key is None:
            return None
        held, names = self.records.get(key), self.unposted.pop(key)
        if held is None:
            return self.post(at_s)
        self.posts += 1
        values = {name: str(held.fields.get(name) or "") for name in names}
        occurred_at_ms = START_MS + int(at_s * 1000)
        says = {"id": self.local_id(key), **values}
        return key, Said(f"post-{self.posts}", "student", says, occurred_at_ms=occurred_at_ms)

    def post_again(self, key: str, said: Said) -> None:
        """It was not taken: it is said again, as it stands then."""
        names = {name: None for name in said.values if name != "id"}
        self.unposted[key] = {**names, **self.unposted.pop(key, {})}


class People:
    """All that is edited, exported and taken up in the three systems while the router lives and dies."""

    def __init__(self, loop: VirtualLoop, chance: Random, *, students: int, nights: int) -> None:
        self._loop = loop
        self._chance = chance
        self.skewed = chance.choice(SKEWS_S)
        self.tellers = {
            "sis": Teller("sis", compares=False, gives_ids=False, late=Random(chance.random())),
            "idp": Teller("idp", compares=False, gives_ids=True, skew_s=self.skewed),
            "lms": Teller("lms", compares=True, gives_ids=False),
        }
        # The clock of sis is right, but nobody says so.
        self.tellers["lms"].echoes = chance.random() < 0.5
        self.skews_ms = {"sis": SKEW_MS, **({"idp": SKEW_MS} if self.skewed else {})}
        self._values = 0
        self._last = ("", "")
        self.until_s = nights * NIGHT_S
        for number in range(1, students + 1):
            self._arrives(f"student/s{number}")
        for night in range(nights):
            loop.call_at(night * NIGHT_S + 60.0, self.night)
        busy_s = self.until_s - NIGHT_S
        at_s = NIGHT_S / 2
        while (at_s := at_s + chance.expovariate(1 / 1500.0)) < busy_s:
            loop.call_at(at_s, self._something)
            if chance.random() < 0.3:  # about the same, somewhere else, at nearly the same time
                loop.call_at(at_s + chance.choice((0.01, 1.0, 30.0, 900.0)), self._edits_too)

    def night(self) -> None:
        """The file is exported before or after it takes up what is due."""
        sis = self.tellers["sis"]
        exports_first = self._chance.random() < 0.5
        if exports_first:
            sis.export(self._loop.time())
        sis.take_up()
        if not exports_first:
            sis.export(self._loop.time())

    def look_through(self) -> None:
        """The directory is polled."""
        self.tellers["idp"].export(self._loop.time())

    def _something(self) -> None:
        chance = self._chance
        acts = (self._edits, self.look_through, self._disagree, self._leaves, self._returns)
        chance.choices(acts, (12, 4, 0.5, 0.3, 0.5))[0]()

    def _value(self) -> str:
        self._values += 1
        return f"v{self._values}"

    def _edits(self) -> None:
        teller = self.tellers[self._chance.choice(TELLERS)]
        if teller.records:
            self._edit(teller, self._chance.choice(sorted(teller.records)), self._chance.choice(FIELDS))

    def _edits_too(self) -> None:
        """The same field of the same record, in another system."""
        key, name = self._last
        tellers = [each for each in self.tellers.values() if key in each.records]
        if tellers:
            self._edit(self._chance.choice(tellers), key, name)
            if self._chance.random() < 0.5:
                self.look_through()

    def _disagree(self) -> None:
        """Two that both may write it: a person will be asked."""
        idp, lms = self.tellers["idp"], self.tellers["lms"]
        both = sorted(idp.records.keys() & lms.records.keys())
        if both:
            key = self._chance.choice(both)
            self._edit(idp, key, "pet")
            self._edit(lms, key, "pet")
            self.look_through()

    def _edit(self, teller: Teller, key: str, name: str) -> None:
        chance = self._chance
        self._last = (key, name)
        value = self._value()
        # What another has, or it had itself. Not what sis has: typed twice, that looks as if taken up.
        there = self.tellers["idp"].records.get(key)
        if teller.name == "lms" and there and chance.random() < 0.2:
            value = str(there.fields.get(name) or value)
        teller.type(key, name, value)
        if chance.random() < 0.2 and name in ("street", "town"):
            teller.type(key, "town" if name == "street" else "street", self._value())

    def _arrives(self, key: str) -> None:
        sis = self.tellers["sis"]
        sis.records[key] = Held({}, (0, 0))
        for name in FIELDS:
            owned = name in ("name", "nick", "grade", "badge")
            if owned or self._chance.random() < 0.3:
                sis.type(key, name, self._value())
            else:
                sis.records[key].fields = {**sis.records[key].fields, name: None}

    def _leaves(self) -> None:
        sis = self.tellers["sis"]
        if len(sis.records) > 2:
            del sis.records[self._chance.choice(sorted(sis.records))]

    def _returns(self) -> None:
        known = {key for key, _ in self.tellers["sis"].typed}
        gone = sorted(known - self.tellers["sis"].records.keys())
        if gone:
            self._arrives(self._chance.choice(gone))
