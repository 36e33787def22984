"""What one record's first contact says, and what makes another report of it."""

import pytest

from bus.messages import Claim, Record, Seen, Value
from router.core.contact import BY_ID, MADE, Line, Summary, What, linked
from router.core.rules import EntityRule, FieldRule, Type

NAMES = ("number", "email", "phone")
RULES = EntityRule(
    name="student",
    owner="sis",
    fields={name: FieldRule(name=name, type=Type.TEXT, owner="sis") for name in NAMES},
    match=(("email",), ("number",)),
)


def record(says: dict[str, Value], *, sis: dict[str, Value] | None = None, **values: Value) -> Record:
    """One that the idp has as u1; `says`: what it says otherwise; `sis`: what the SIS says otherwise."""
    claims = {name: Claim(1, 1, is_open=False) for name in says}
    seen = {"idp": Seen(1, NAMES, says, claims=claims), "sis": Seen(1, NAMES, sis or {})}
    return Record("student/1", "student", 1, 1, False, (), 1, values, {}, {"idp": "u1"}, seen)


def line_of(record: Record, *, owned: frozenset[str] = frozenset(), is_ours: bool = False) -> Line:
    return linked(record, "idp", RULES, NAMES, owned, {}, is_ours=is_ours)


def test_a_field_that_differs_would_be_written_there() -> None:
    line = line_of(record({"phone": "2"}, number="7", email="a@x", phone="1"))

    assert (line.what, line.local_id) == (What.LINKED, "u1")
    assert (line.written, line.stands, line.asked) == (("phone",), (), ())


def test_a_field_of_the_systems_own_stands_where_another_says_otherwise() -> None:
    found = record({}, sis={"email": "b@x", "phone": "2"}, number="7", email="a@x", phone="1")

    assert line_of(found, owned=frozenset({"email"})).stands == ("email",)
    assert line_of(found).stands == ()


def test_a_field_of_which_a_person_is_asked_is_neither_written_nor_stands() -> None:
    found = record({"phone": "2"}, number="7", email="a@x", phone="1")._replace(
        asked={"phone": ("idp", "sis")}
    )

    assert (line_of(found).asked, line_of(found).written) == (("phone",), ())


def test_a_field_of_which_the_system_never_spoke_is_not_reported() -> None:
    found = record({}, number="7", email="a@x")._replace(seen={"idp": Seen(1, ("number",), {"number": "8"})})

    assert line_of(found).written == ("number",)


@pytest.mark.parametrize(
    ("says", "is_ours", "found_by"),
    [
        ({}, False, "email"),
        ({"email": "other@x"}, False, "number"),
        ({"email": "other@x", "number": "8"}, True, MADE),
        ({"email": "other@x", "number": None}, False, BY_ID),
    ],
)
def test_it_is_found_by_the_first_rule_that_holds(
    says: dict[str, Value], is_ours: bool, found_by: str
) -> None:
    assert line_of(record(says, number="7", email="a@x"), is_ours=is_ours).found_by == found_by


LINES = [Line(What.CREATE, "student", f"student/{n}") for n in range(3)]


def summary(*lines: Line, key: bytes = b"k", salt: str = "") -> Summary:
    found = Summary(key, salt)
    for line in lines:
        found.add(line)
    return found


def test_the_hash_is_of_the_lines_whatever_their_order() -> None:
    assert summary(*LINES).hash == summary(*reversed(LINES)).hash
    assert len(summary().hash) == 16


@pytest.mark.parametrize(
    "other",
    [
        summary(*LINES[1:]),
        summary(*LINES, LINES[0]),
        summary(LINES[0]._replace(written=("email",)), *LINES[1:]),
        summary(LINES[0]._replace(key="student/9"), *LINES[1:]),
        summary(*LINES, salt="another configuration"),
        summary(*LINES, key=b"another district"),
    ],
)
def test_another_report_has_another_hash(other: Summary) -> None:
    assert other.hash != summary(*LINES).hash


def test_lines_are_counted_by_entity_what_and_field() -> None:
    linked_ = Line(What.LINKED, "staff", "staff/1", "u1", "email", (), ("phone",), ("email",))

    entries = summary(*LINES, linked_).as_entries()

    assert (entries["student"]["create"], entries["student"]["linked"]) == (3, 0)
    assert entries["staff"]["found_by"] == {"email": 1}
    assert entries["staff"]["fields"] == {"phone": {"written": 1}, "email": {"stands": 1}}
