"""A table that several entities share: a row that turns into another kind, or into none, is still there."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from simulation.by_hand import alerts, empty_town
from simulation.district import ENTITIES
from simulation.exports import Rows, give_tables, last, news, remarks
from simulation.school import Script
from simulation.world import Town

from router.core.rules import SourceEntity, SourceRule, SystemRule, Term


class Role:
    """The expression `role == '<this one>'`, without a value for the role `?`."""

    variables = ("role",)

    def __init__(self, name: str) -> None:
        self._name = name

    def execute(self, context: dict[str, object], /) -> object:
        if context["role"] == "?":
            raise ValueError
        return context["role"] == self._name


def shared(entity: str) -> SourceEntity:
    return SourceEntity(
        entity=entity,
        table="users",
        id_field="id",
        terms=(Term(field="name", text="name", column="name"),),
        when=Role(entity),
        when_text=f"role == '{entity}'",
    )


@pytest.fixture
def town() -> Iterator[Town]:
    source = SourceRule(
        adapter="simulated", settings={}, entities={name: shared(name) for name in ("student", "staff")}
    )
    with empty_town() as town:
        systems = {**town.district.systems, "sis": SystemRule(name="sis", title="", file="", source=source)}
        entities = {**ENTITIES, "staff": replace(ENTITIES["staff"], owner="sis")}
        town.district = replace(town.district, systems=systems, entities=entities)
        yield town


def users(*ids: int, role: str = "student", name: str = "N") -> Rows:
    return [(f"u{id_}", {"name": name, "role": role}) for id_ in ids]


def give(town: Town, rows: Rows, *, full: bool = True, deleted: frozenset[str] = frozenset()) -> Script:
    return give_tables(town, {"users": rows}, full=full, deleted=deleted)


ALL = [*users(*range(1, 31)), *users(*range(31, 41), role="staff")]
NO_ENTITY = "no entity takes this row (when: role == 'student'; role == 'staff')"


@pytest.mark.parametrize("id_", [1, 31])
def test_a_row_whose_condition_has_no_value_is_set_aside_whatever_it_was(town: Town, id_: int) -> None:
    give(town, ALL)
    before = last(town)
    rows = [*users(id_, role="?"), *[row for row in ALL if row[0] != f"u{id_}"]]
    script = give(town, rows)

    assert script.settled == "accepted"
    assert last(town) == before
    assert remarks(town) == [
        "users:2: when: the expression has no value here (ValueError). The row was set aside"
    ]


@pytest.mark.parametrize("id_", [1, 31])
def test_a_row_that_no_entity_takes_any_more_is_set_aside(town: Town, id_: int) -> None:
    give(town, ALL)
    before = last(town)
    script = give(town, [*users(id_, role=""), *[row for row in ALL if row[0] != f"u{id_}"]])

    assert script.settled == "accepted"
    assert last(town) == before
    assert remarks(town) == [f"users:2: {NO_ENTITY}. The row was set aside"]
    assert "quarantined-rows" in alerts(town)


def test_rows_that_no_entity_ever_took_are_counted(town: Town) -> None:
    give(town, [*users(1), *users(2, 3, 4, role="parent")])

    assert news(town) == [("create", "u1")]
    assert remarks(town) == [f"users:3: {NO_ENTITY}, nor 2 others"]
    assert alerts(town) == []


def test_a_row_that_no_entity_takes_and_that_says_it_is_gone_is_gone(town: Town) -> None:
    give(town, ALL)
    before = last(town)
    give(town, users(2, role=""), full=False, deleted=frozenset({"u2"}))

    assert news(town, before) == [("delete", "u2")]


@pytest.mark.parametrize("full", [True, False])
def test_a_row_that_turns_into_another_kind_leaves_no_old_record(town: Town, full: bool) -> None:
    give(town, ALL)
    before = last(town)
    rest = [row for row in ALL if row[0] != "u1"] if full else users(2, name="M")
    give(town, [*users(1, role="staff"), *rest], full=full)
    subjects = [s.subject for s in town.server.streams["EVENTS"].messages.values() if s.seq > before]

    assert "event.sis.staff.create" in subjects
    assert "event.sis.student.delete" in subjects
    assert [id_ for op, id_ in news(town, before) if op != "update"] == ["u1", "u1"]


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("name", [" ", "N" * 900_001])
def test_a_row_that_turns_into_an_unsound_one_of_another_kind_is_set_aside(
    town: Town, full: bool, name: str
) -> None:
    give(town, ALL)
    before = last(town)
    rest = [row for row in ALL if row[0] != "u1"] if full else users(2)
    script = give(town, [*users(1, role="staff", name=name), *rest], full=full)

    assert script.settled == "accepted"
    assert last(town) == before
