"""A put, a removal, or nothing: the plan makes the destination's copy equal to the record."""

from hypothesis import given
from hypothesis import strategies as st

from bus.messages import Op, Origin, Outcome, Record, Value, Version
from router.core.delivery import (
    HELD_UNKNOWN,
    NOTHING_HELD,
    Held,
    Planned,
    Route,
    content_hash,
    plan,
)
from router.core.mapping import compile_destination, id_of
from router.core.rules import DestinationEntity, EntityRule, FieldRule, Term, Type

KEY = b"k"
ENTITY = EntityRule(
    name="student",
    owner="sis",
    fields={name: FieldRule(name=name, type=Type.TEXT, owner="sis") for name in ("name", "grade", "note")},
)


class Junior:
    """`grade != "12"`; a grade "?" has no answer."""

    variables = ("grade",)

    def execute(self, context: dict[str, object], /) -> object:
        return 1 / 0 if context["grade"] == "?" else context["grade"] != "12"


def route(on_delete: str = "delete", *, filtered: bool = True) -> Route:
    rule = DestinationEntity(
        entity="student",
        table="people",
        id_field="id",
        terms=(Term(field="id", text="id", column="id"), Term(field="n", text="name", column="name")),
        when=Junior() if filtered else None,
        on_delete=on_delete,
    )
    return Route(rule, compile_destination(rule, ENTITY), "sis")


@st.composite
def records(draw: st.DrawFn) -> Record:
    values: dict[str, Value] = {
        "name": draw(st.sampled_from(["Ada", "Bea"])),
        "grade": draw(st.sampled_from(["9", "12"])),
        "note": draw(st.sampled_from(["x", "y"])),
    }
    origin = Origin("sis", 1, 0, "owner")
    return Record(
        "student/7", "student", draw(st.integers(1, 5)), 9, draw(st.booleans()), ("name",), 1, values,
        dict.fromkeys(values, origin), {"sis": "7"}, {},
    )  # fmt: skip


def held_of(record: Record) -> Held:
    hash_ = content_hash({"n": record.values["name"], "id": "7"}, KEY)
    return Held(1, Version(1, 1), hash_, "")


holdings = st.one_of(st.just(NOTHING_HELD), records().map(held_of), st.just(Held(1, Version(1, 1), "?", "")))
modes = st.sampled_from(["delete", "deactivate", "ignore"])


def made(record: Record, held: Held, on_delete: str) -> Planned:
    return plan(record, Version(1, record.seq), held, route(on_delete), KEY, id_of)


def wanted(record: Record) -> bool:
    return not record.deleted and record.values["grade"] != "12"


@given(records(), holdings, modes)
def test_after_the_plan_the_destination_holds_what_it_should(
    record: Record, held: Held, on_delete: str
) -> None:
    planned = made(record, held, on_delete)

    if wanted(record):
        assert planned.hash == held_of(record).hash
    elif on_delete == "ignore":
        assert planned.hash == held.hash
    else:
        assert planned.hash == ""


@given(records(), holdings, modes)
def test_what_is_done_already_is_not_done_again(record: Record, held: Held, on_delete: str) -> None:
    first = made(record, held, on_delete)
    after = held._replace(hash=first.hash)

    assert made(record, after, on_delete).delivery is None


@given(records(), holdings, st.sampled_from([None, True, False]))
def test_it_is_told_again_where_the_system_has_something_else_than_it_was_told(
    record: Record, held: Held, has_it: bool | None
) -> None:
    found = plan(record, Version(1, record.seq), held, route("delete"), KEY, id_of, has_it)

    if wanted(record) and found.delivery:
        assert found.delivery.again == (has_it is False and held.hash == found.hash)
    assert has_it is not False or not wanted(record) or found.delivery


@given(records(), modes)
def test_what_may_be_there_is_never_taken_for_known(record: Record, on_delete: str) -> None:
    planned = made(record, NOTHING_HELD._replace(hash=HELD_UNKNOWN), on_delete)

    assert (planned.delivery is None) == (not wanted(record) and on_delete == "ignore")


@given(records(), holdings, modes)
def test_a_removal_is_of_what_is_there_and_switches_off_where_that_is_asked(
    record: Record, held: Held, on_delete: str
) -> None:
    delivery = made(record, held, on_delete).delivery

    if delivery and delivery.op is Op.DELETE:
        assert held.hash
        assert delivery.fields == {}
        assert delivery.deactivate == (on_delete == "deactivate")
        assert on_delete != "ignore"
    elif delivery:
        assert delivery.fields == {"id": "7", "n": record.values["name"]}
        assert (delivery.version, delivery.table) == (Version(1, 9), "people")


def test_a_record_that_cannot_be_mapped_fails_and_leaves_what_is_held() -> None:
    values: dict[str, Value] = {"name": "Ada", "grade": "?"}
    record = Record("student/7", "student", 1, 9, False, (), 1, values, {}, {}, {})
    planned = made(record, Held(0, Version(0, 0), "h", ""), "delete")

    assert (planned.delivery, planned.outcome, planned.hash) == (None, Outcome.FAILED, "h")
    assert "Ada" not in planned.reason


def test_a_content_hash_depends_on_the_key_and_on_nothing_else() -> None:
    fields: dict[str, Value] = {"a": "1", "b": None, "c": ("x", "y")}

    assert content_hash(fields, b"k") == content_hash(dict(fields), b"k")
    assert content_hash(fields, b"k") != content_hash(fields, b"l")
    assert content_hash(fields, b"k") != content_hash({**fields, "a": "2"}, b"k")
