"""Events on one record, told one after the other, for tests of the merge."""

from bus.messages import Event, Op, Record, Value
from router.core.held import Given, Told
from router.core.merge import Decision, merge
from router.core.rules import EntityRule, FieldRule, Period, Type

KEY = "student/7"


def field(name: str, owner: str = "", *several: str, ties: str = "priority", **also: object) -> FieldRule:
    owners = (Period(systems=(owner, *several)),) if several else ()
    sole = "" if several else owner
    return FieldRule(name=name, type=Type.TEXT, owner=sole, owners=owners, ties=ties, **also)  # type: ignore[arg-type]


def rules(*fields: FieldRule, **also: object) -> EntityRule:
    named = {each.name: each for each in (field("name", "sis"), *fields)}
    systems = frozenset({"sis", "idp", "lms"})
    return EntityRule(name="student", owner="sis", fields=named, two_way=systems, **also)  # type: ignore[arg-type]


class Story:
    """Events on one record, in order."""

    def __init__(self, rule: EntityRule, **begin: Value) -> None:
        self.rules = rule
        self.record: Record | None = None
        self.seq = 0
        self.conflicts: list[tuple[object, ...]] = []
        for system in ("sis", "idp", "lms"):  # all have seen the same
            self.says(system, 0, **{"name": "Ada", **begin})

    def says(
        self,
        system: str,
        at_ms: int,
        *,
        op: Op = Op.UPDATE,
        full: bool = True,
        given: Given | None = None,
        **fields: Value,
    ) -> Decision:
        self.seq += 1
        event = Event(str(self.seq), system, "student", op, "7", fields, full, at_ms)
        decision = merge(self.record, event, KEY, self.rules, self.seq, Told(given or {}))
        self.record = decision.record
        for each in decision.conflicts:
            sides = frozenset({(each.system, each.values), (each.other, each.other_values)})
            self.conflicts.append((each.fields, sides, each.rule, each.winner))
        return decision

    def value(self, name: str) -> Value:
        assert self.record is not None
        return self.record.values.get(name)


def email(**begin: Value) -> Story:
    """idp owns the address, and all agree on it."""
    return Story(rules(field("email", "idp")), email="old", **begin)
