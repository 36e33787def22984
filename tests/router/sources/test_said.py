"""What is said becomes news of the right entity, or is refused with its place."""

from datetime import UTC

import pytest

from bus.adapter import Said, Unsound
from bus.messages import Op
from router.config.expressions import Expression
from router.core.rules import EntityRule, FieldRule, SourceEntity, Term, Type
from router.sources.said import Reader, Told


def entity(name: str) -> EntityRule:
    fields = {
        "name": FieldRule(name="name", type=Type.TEXT, owner="lms", required=True),
        "born": FieldRule(name="born", type=Type.DATE, owner="lms"),
    }
    return EntityRule(name=name, owner="lms", fields=fields)


def people(name: str, role: str) -> Told:
    terms = (Term(field="name", text="n", column="n"), Term(field="born", text="b", column="b"))
    when = f"role == '{role}'" if role else ""
    program = Expression(when) if when else None
    rule = SourceEntity(entity=name, table="users", id_field="id", terms=terms, when=program, when_text=when)
    return Told.of(rule, entity(name), UTC)


ONE = Reader("lms", [people("person", "")], b"key")
TWO = Reader("lms", [people("student", "student"), people("teacher", "teacher")], b"key")


def said(*, full: bool = False, deleted: bool = False, id_: str = "", **values: str) -> Said:
    return Said(id_, "users", {"id": "7", **values}, deleted=deleted, full=full)


def entities(reader: Reader, what: Said) -> list[str]:
    return [news.entity for news in reader.read(0, what)]


def test_a_part_carries_what_is_there_and_a_whole_carries_all() -> None:
    [part] = ONE.read(0, said(b="2011-02-28"))
    [whole] = ONE.read(0, said(full=True, n="Ada"))

    assert (part.fields, part.full, part.op) == ({"born": "2011-02-28"}, False, Op.UPDATE)
    assert (whole.fields, whole.full) == ({"name": "Ada", "born": None}, True)


def test_the_entity_is_the_one_that_takes_it() -> None:
    assert entities(TWO, said(n="A", role="student")) == ["student"]
    assert entities(TWO, said(n="A", role="teacher", full=True)) == ["teacher"]
    assert entities(TWO, said(n="A", role="parent")) == []


def test_what_tells_the_entity_must_be_said() -> None:
    with pytest.raises(Unsound) as raised:
        TWO.read(3, said(n="A"))

    assert (raised.value.index, raised.value.field) == (3, "data.role")


def test_a_deletion_carries_nothing_and_needs_no_sound_fields() -> None:
    [news] = ONE.read(0, said(deleted=True, full=True, n="", b="never"))

    assert (news.op, news.fields, news.full) == (Op.DELETE, {}, False)


def test_a_deletion_is_told_of_each_entity_that_it_may_be_of() -> None:
    assert entities(TWO, said(deleted=True)) == ["student", "teacher"]
    assert entities(TWO, said(deleted=True, role="teacher")) == ["teacher"]
    assert len({news.name for news in TWO.read(0, said(deleted=True, id_="a1"))}) == 2


def test_news_of_nothing_that_is_mapped_is_no_news() -> None:
    assert ONE.read(0, said(nickname="Countess")) == []


@pytest.mark.parametrize(
    ("what", "field"),
    [
        (said(b="S3cret"), "data.b"),
        (said(n=""), "data.n"),
        (said(full=True), "data.n"),
        (Said("", "users", {"n": "S3cret"}), "data.id"),
        (Said("", "users", {"id": "S3cret\n"}), "data.id"),
        (Said("", "users", {"id": ""}, deleted=True), "data.id"),
        (Said("", "S3cret", {"id": "7"}), "table"),
    ],
)
def test_what_cannot_be_mapped_is_unsound_in_the_senders_words(what: Said, field: str) -> None:
    with pytest.raises(Unsound) as raised:
        ONE.read(5, what)

    assert (raised.value.index, raised.value.field) == (5, field)
    assert "S3cret" not in str(raised.value)


def test_an_id_is_the_senders_news_and_tells_nothing_of_it() -> None:
    [first] = ONE.read(0, said(id_="enrollment-1001", n="A"))
    [again] = ONE.read(0, said(id_="enrollment-1001", n="B"))
    [other] = ONE.read(0, said(id_="enrollment-1002", n="A"))

    assert ONE.id_of(first, 1) == ONE.id_of(again, 2) != ONE.id_of(other, 1)
    assert "1001" not in ONE.id_of(first, 1)
    assert ONE.number_in(ONE.id_of(first, 1)) == 0


def test_news_without_an_id_is_named_by_number_and_content() -> None:
    [first] = ONE.read(0, said(n="A"))
    [other] = ONE.read(0, said(n="B"))

    ids = {ONE.id_of(first, 1), ONE.id_of(first, 2), ONE.id_of(other, 1)}
    assert len(ids) == 3
    assert sorted(map(ONE.number_in, ids)) == [1, 1, 2]
