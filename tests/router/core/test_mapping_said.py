"""Of what a system says of a part of a record, only the fields that are whole are found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.messages import Value
from router.config.expressions import Expression
from router.core.mapping import Invalid, compile_said, compile_source, unsaid
from router.core.rules import EntityRule, FieldRule, SourceEntity, Term, Type

COLUMNS = ("first", "last", "year", "role")
STUDENT = EntityRule(
    name="student",
    owner="sis",
    fields={
        "name": FieldRule(name="name", type=Type.TEXT, owner="sis", required=True),
        "year": FieldRule(name="year", type=Type.INTEGER, owner="sis"),
        "given": FieldRule(name="given", type=Type.TEXT, owner="sis"),
    },
)
RULE = SourceEntity(
    entity="student",
    table="users",
    id_field="id",
    terms=(
        Term(field="name", text="first + ' ' + last", program=Expression("first + ' ' + last")),
        Term(field="year", text="year", column="year"),
        Term(field="given", text="first", column="first", normalize=("upper",)),
    ),
)
SOME = SourceEntity(
    entity="student",
    table="users",
    id_field="id",
    terms=RULE.terms,
    when=Expression("role == 'student'"),
    when_text="role == 'student'",
)

rows = st.dictionaries(st.sampled_from(COLUMNS), st.sampled_from(["9", "10", "11"]))


def said(rule: SourceEntity = RULE, **row: str) -> tuple[str, dict[str, Value]] | None:
    return compile_said(rule, STUDENT)({"id": "7", **row})


def test_a_field_is_found_if_its_column_is_there() -> None:
    assert said(year="9") == ("7", {"year": 9})
    assert said() == ("7", {})


def test_an_expression_is_found_if_all_its_columns_are_there() -> None:
    assert said(first="ada") == ("7", {"given": "ADA"})
    assert said(first="ada", last="L") == ("7", {"name": "ada L", "given": "ADA"})


def test_a_column_that_is_there_and_blank_has_no_value() -> None:
    assert said(year=" ") == ("7", {"year": None})


def test_a_required_field_may_be_left_out_and_may_not_be_blank() -> None:
    rule = SourceEntity(
        entity="student", table="users", id_field="id", terms=(Term(field="name", text="n", column="n"),)
    )

    assert said(rule) == ("7", {})
    with pytest.raises(Invalid, match="name: blank"):
        said(rule, n="")


def test_what_when_reads_must_be_there() -> None:
    assert said(SOME, role="student", year="9") == ("7", {"year": 9})
    assert said(SOME, role="teacher", year="9") is None
    with pytest.raises(Invalid, match="role: is not there"):
        said(SOME, year="9")
    assert (unsaid(SOME, {"year": "9"}), unsaid(SOME, {"role": ""}), unsaid(RULE, {})) == (("role",), (), ())


@given(rows)
def test_what_is_found_is_what_a_whole_row_gives(row: dict[str, str]) -> None:
    to_event = compile_said(RULE, STUDENT)
    whole = compile_source(RULE, STUDENT)({"id": "7", **dict.fromkeys(COLUMNS, "1"), **row})
    assert whole is not None

    for _ in range(2):
        found = to_event({"id": "7", **row})

        assert found == ("7", {name: value for name, value in whole[1].items() if _there(name, row)})


def _there(field: str, row: dict[str, str]) -> bool:
    made_of = {"name": ("first", "last"), "year": ("year",), "given": ("first",)}
    return all(column in row for column in made_of[field])
