"""Rows become fields and records become what a system is told, by the rule and by nothing else."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.adapter import EntityShape
from bus.messages import Record, Value
from router.config.expressions import Expression
from router.core.mapping import (
    REMEMBERED_MAX,
    Invalid,
    compile_destination,
    compile_source,
    id_of,
)
from router.core.rules import DestinationEntity, EntityRule, FieldRule, SourceEntity, Term, Type
from router.core.shapes import destination_shape, source_shape

FIELDS = {
    "name": Type.TEXT,
    "year": Type.INTEGER,
    "gpa": Type.NUMBER,
    "enabled": Type.BOOLEAN,
    "born": Type.DATE,
    "seenAt": Type.DATETIME,
    "grades": Type.LIST,
    "school": Type.REFERENCE,
    "agents": Type.REFERENCES,
}
STUDENT = EntityRule(
    name="student",
    owner="sis",
    fields={name: FieldRule(name=name, type=type_, owner="sis") for name, type_ in FIELDS.items()},
)


def term(field: str, text: str, *normalize: str) -> Term:
    if text.replace(".", "").isidentifier():
        return Term(field=field, text=text, column=text, normalize=normalize)
    return Term(field=field, text=text, program=Expression(text), normalize=normalize)


def source(*terms: Term, when: str = "") -> SourceEntity:
    program = Expression(when) if when else None
    return SourceEntity(entity="student", table="users", id_field="id", terms=terms, when=program)


def destination(*terms: Term, when: str = "", sources: tuple[str, ...] = ()) -> DestinationEntity:
    program = Expression(when) if when else None
    return DestinationEntity(
        entity="student", table="Users", id_field="ext", terms=terms, when=program, sources=sources
    )


def record(**values: Value) -> Record:
    return Record(
        key="student/7",
        entity="student",
        rev=1,
        seq=1,
        deleted=False,
        changed=(),
        event_seq=1,
        values=values,
        origins={},
        links={},
        seen={},
    )


def fields_of(rule: DestinationEntity, of: Record) -> dict[str, Value]:
    return compile_destination(rule, STUDENT).fields(of, "sis", lambda key: f"<{key}>")


# -- from a system


def test_a_row_becomes_its_id_and_typed_fields() -> None:
    to_event = compile_source(source(term("name", "n"), term("year", "y"), term("agents", "a")), STUDENT)

    event = to_event({"id": "7", "n": "Ada", "y": "2026", "a": "1,2", "password": "x"})

    assert event == ("7", {"name": "Ada", "year": 2026, "agents": ("1", "2")})


@pytest.mark.parametrize("blank", [{"n": ""}, {"n": "  "}, {}])
def test_a_blank_is_none(blank: Mapping[str, str]) -> None:
    to_event = compile_source(source(term("name", "n"), term("year", "n")), STUDENT)

    assert to_event({"id": "7", **blank}) == ("7", {"name": None, "year": None})


def test_a_row_that_when_excludes_is_none() -> None:
    to_event = compile_source(source(term("name", "n"), when="role == 'student'"), STUDENT)

    assert to_event({"id": "7", "n": "Ada", "role": "teacher"}) is None
    assert to_event({"id": "7", "n": "Ada", "role": "student"}) == ("7", {"name": "Ada"})


def test_text_is_normalized_before_its_type_is_read() -> None:
    rule = source(term("name", "n", "trim", "upper"), term("born", "b", "%m/%d/%Y"))

    assert compile_source(rule, STUDENT)({"id": "7", "n": " ada ", "b": "11/23/2015"}) == (
        "7",
        {"name": "ADA", "born": "2015-11-23"},
    )


def test_an_expression_reads_columns_and_gives_the_fields_type() -> None:
    rule = source(term("name", "a + ' ' + b"), term("enabled", "status == 'active'"), term("grades", "[g]"))

    event = compile_source(rule, STUDENT)({"id": "7", "a": "A", "b": "B", "status": "active", "g": "09"})

    assert event == ("7", {"name": "A B", "enabled": True, "grades": ("09",)})


def test_a_required_field_that_is_blank_is_invalid() -> None:
    entity = EntityRule(
        name="student",
        owner="sis",
        fields={"name": FieldRule(name="name", type=Type.TEXT, owner="sis", required=True)},
    )

    with pytest.raises(Invalid, match="name: blank") as caught:
        compile_source(source(term("name", "n")), entity)({"id": "7", "n": ""})

    assert caught.value.field == "name"


def test_a_row_without_an_id_is_invalid() -> None:
    with pytest.raises(Invalid, match="id: blank"):
        compile_source(source(term("name", "n")), STUDENT)({"id": " ", "n": "Ada"})


@pytest.mark.parametrize(
    "rule",
    [
        source(term("year", "n")),
        source(term("born", "n", "%d.%m.%Y")),
        source(term("year", "n + 'x'")),
        source(term("year", "int(n)")),
        source(term("name", "n"), when="int(n) == 1"),
        source(term("name", "n"), when="n + 'x'"),
    ],
)
def test_no_error_holds_a_value(rule: SourceEntity) -> None:
    with pytest.raises(Invalid) as caught:
        compile_source(rule, STUDENT)({"id": "7", "n": "S3cret"})

    assert "S3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


class Counting:
    """A program that counts how often it runs."""

    variables = ("n",)
    runs = 0

    def execute(self, context: dict[str, object], /) -> object:
        self.runs += 1
        return f"{context['n']}!"


def test_answers_are_remembered_up_to_a_limit_and_do_not_mix_up() -> None:
    program = Counting()
    rule = source(Term(field="name", text="n + '!'", program=program))
    to_event = compile_source(rule, STUDENT)

    for _ in range(2):
        for n in range(REMEMBERED_MAX + 10):
            assert to_event({"id": "7", "n": f"{n}"}) == ("7", {"name": f"{n}!"})

    assert program.runs == REMEMBERED_MAX + 10 + 10


texts = st.text(max_size=40)


@given(st.fixed_dictionaries({"id": texts, "c": texts}), st.sampled_from(sorted(FIELDS)))
def test_any_text_in_a_row_is_mapped_or_invalid(row: dict[str, str], field: str) -> None:
    for how in (term(field, "c"), term(field, "c", "trim", "lower"), term(field, "c + ''")):
        try:
            event = compile_source(source(how), STUDENT)(row)
        except Invalid as error:
            assert error.field in (field, "id")
        else:
            assert event is not None
            assert event[0] == row["id"]


@given(texts)
def test_columns_and_the_same_column_as_an_expression_agree(text: str) -> None:
    found: list[object] = []
    for how in ("c", "c + ''"):
        try:
            found.append(compile_source(source(term("grades", how)), STUDENT)({"id": "7", "c": text}))
        except Invalid:
            found.append(None)

    assert found[0] == found[1]


# -- to a system


def test_a_record_becomes_the_fields_that_the_system_names() -> None:
    rule = destination(
        term("first", "name"), term("code", "key"), term("number", "id"), term("from", "source")
    )

    assert fields_of(rule, record(name="Ada", gpa=4.0)) == {
        "first": "Ada",
        "code": "student/7",
        "number": "7",
        "from": "sis",
    }


def test_a_reference_is_what_the_system_calls_its_target() -> None:
    rule = destination(
        term("school", "school"),
        term("agents", "agents"),
        term("place", "'at ' + school"),
        term("n", "agents[0]"),
    )

    assert fields_of(rule, record(school="org/1", agents=("guardian/2", "guardian/3"))) == {
        "school": "<org/1>",
        "agents": ("<guardian/2>", "<guardian/3>"),
        "place": "at <org/1>",
        "n": "<guardian/2>",
    }


def test_what_has_no_value_is_none_and_in_an_expression_null_or_an_empty_list() -> None:
    rule = destination(
        term("name", "name"), term("school", "school"), term("n", "size(grades)"), term("no", "name == null")
    )

    assert fields_of(rule, record()) == {"name": None, "school": None, "n": 0, "no": True}


def test_a_record_is_wanted_by_when_and_by_the_system_it_came_from() -> None:
    wants = compile_destination(
        destination(term("n", "name"), when="'09' in grades && school == '1'", sources=("sis",)), STUDENT
    ).wants

    assert wants(record(grades=("09", "10"), school="org/1"), "sis")
    assert not wants(record(grades=("09", "10"), school="org/1"), "hr")
    assert not wants(record(grades=("10",), school="org/1"), "sis")
    assert not wants(record(), "sis")


def test_without_when_and_from_everything_is_wanted() -> None:
    assert compile_destination(destination(term("n", "name")), STUDENT).wants(record(), "any")


def test_a_destinations_expression_without_a_value_is_invalid_and_says_nothing() -> None:
    with pytest.raises(Invalid) as caught:
        fields_of(destination(term("full", "name + school")), record(name="S3cret"))

    assert caught.value.field == "full"
    assert "S3cret" not in str(caught.value)


def test_an_expression_that_gives_a_map_is_invalid() -> None:
    with pytest.raises(Invalid, match="full: the expression gave neither"):
        fields_of(destination(term("full", "{'a': name}")), record(name="Ada"))


def test_true_and_1_do_not_meet_in_what_is_remembered() -> None:
    outgoing = compile_destination(destination(term("x", "[name, string(year)].join('-')")), STUDENT)

    told = [outgoing.fields(record(name=n, year=y), "sis", id_of) for n, y in [("a", 1), ("a", 0), ("a", 1)]]

    assert [one["x"] for one in told] == ["a-1", "a-0", "a-1"]


# -- what an adapter is asked for


def test_a_source_is_asked_for_every_column_that_the_mapping_names_once() -> None:
    shape = source_shape(source(term("name", "a + b"), term("name", "g"), when="role == a"), STUDENT)

    assert shape == EntityShape(
        "student", "users", "id", tuple((name, "text") for name in ("id", "a", "b", "g", "role"))
    )


def test_a_column_has_the_type_of_the_field_that_alone_is_made_of_it() -> None:
    terms = [
        term("enabled", "on"),
        term("grades", "g"),
        term("born", "b", "%m/%d/%Y"),
        term("agents", "kin"),
        term("gpa", "x"),
        term("year", "x"),
        term("name", "y"),
    ]
    shape = source_shape(source(*terms, when="g == y"), STUDENT)

    types = {"id": "text", "on": "boolean", "g": "text", "b": "text", "kin": "list", "x": "text", "y": "text"}
    assert dict(shape.fields) == types


def test_a_destination_is_told_the_types_of_its_fields() -> None:
    shape = destination_shape(
        destination(*(term(f"x{n}", name) for n, name in enumerate(FIELDS)), term("y", "name + 'x'")), STUDENT
    )

    assert [type_ for _, type_ in shape.fields] == [
        "text", "integer", "number", "boolean", "date", "text", "list", "text", "list", "text",
    ]  # fmt: skip
    assert shape[:3] == ("student", "Users", "ext")
