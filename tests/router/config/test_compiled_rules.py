"""What the configuration says is what the rules say."""

from pathlib import Path
from typing import Any

import pytest

from router.config import check_folder
from router.config.expressions import BadExpression, Expression
from router.config.order import targets_first
from router.core.rules import Period, Type
from router.core.schedule import Schedule
from router.core.spelling import normal_id

EXAMPLE = Path(__file__).parents[3] / "integrations"


def test_a_source_publishes_targets_before_what_refers_to_them(written: Any) -> None:
    assert list(written.district().systems["sis"].source.entities) == ["school", "student"]


def test_a_circle_of_references_keeps_the_written_order_where_it_can() -> None:
    names = {"student": ["guardian", "org"], "guardian": ["student"], "org": []}

    assert targets_first(names, names.__getitem__) == ("guardian", "org", "student")


def test_a_destination_has_its_pace_in_records_per_second_and_its_linger_in_seconds(written: Any) -> None:
    written.change("warehouse.yaml", "10/s", "90/m")
    written.change("warehouse.yaml", "linger: 2s", "linger: 250ms")

    rule = written.district().systems["warehouse"].destination

    assert (rule.rate_per_s, rule.linger_s, rule.concurrent) == (1.5, 0.25, 1)


def test_defaults_are_those_of_the_entity(written: Any) -> None:
    student = written.district().entities["student"]

    assert student.fields["email"].type is Type.TEXT
    assert student.fields["email"].owner == "sis"
    assert student.fields["grades"].class_ == "education"
    assert student.fields["school"].to == ("school",)


def test_table_and_id_are_the_entitys_name_and_id_unless_said(written: Any) -> None:
    rule = written.district().systems["warehouse"].destination.entities["student"]

    assert (rule.table, rule.id_field, rule.on_delete) == ("student", "id", "delete")


def test_a_bare_name_is_a_column_and_anything_else_an_expression(written: Any) -> None:
    written.change("sis.yaml", "email: email", "email: username + '@x'")

    rule = written.district().systems["sis"].source.entities["student"]
    name, email, _ = rule.terms

    assert (name.column, name.program) == ("givenName", None)
    assert (email.column, email.program.variables, email.normalize) == ("", ("username",), ("trim", "lower"))


def test_a_spelling_of_ids_goes_for_what_refers_to_them_too(written: Any) -> None:
    written.change(
        "sis.yaml", "        name: name\n", "        name: name\n      normalize: {id: [trim, lower]}\n"
    )

    entities = written.district().systems["sis"].source.entities
    (school,) = [term for term in entities["student"].terms if term.field == "school"]

    assert normal_id(entities["school"])(" A1") == "a1"
    assert normal_id(entities["student"]) is None
    assert school.normalize == ("trim", "lower")


def test_a_date_is_no_spelling_of_an_id(written: Any) -> None:
    written.change("sis.yaml", "email: [trim, lower]", "id: '%m/%d/%Y'")

    assert "id: (expected of trim, lower, upper: an id is no date)" in written.problems()[0]


def test_a_dotted_column_may_be_there_though_nobody_knows_it(written: Any) -> None:
    written.change("sis.yaml", "email: email", "email: metadata.email")

    _, email, _ = written.district().systems["sis"].source.entities["student"].terms

    assert email.column == "metadata.email"


def test_only_records_from_some_systems_if_the_destination_says_so(written: Any) -> None:
    written.change("warehouse.yaml", "      fields:", "      from: [sis]\n      fields:")

    assert written.district().systems["warehouse"].destination.entities["student"].sources == ("sis",)


def test_from_an_unknown_system_is_a_mistake(written: Any) -> None:
    written.change("warehouse.yaml", "      fields:", "      from: [siss]\n      fields:")

    (problem,) = written.problems()

    assert problem == 'warehouse.yaml:10:14: "siss" is no system here. Did you mean "sis"?'


@pytest.mark.parametrize(("limit", "share"), [("5%", 0.05), ("0.05", 0.05), ("100%", 1.0), ("0", 0.0)])
def test_a_guard_is_a_share_of_1(written: Any, limit: str, share: float) -> None:
    written.change("district.yaml", "name:", f"guards: {{shrink_max: {limit}}}\nname:")

    assert written.district().guards.shrink_max == share


@pytest.mark.parametrize("limit", ["5", "-1", "101%", "many", "true"])
def test_a_guard_that_may_be_meant_in_two_ways_is_refused(written: Any, limit: str) -> None:
    written.change("district.yaml", "name:", f"guards: {{shrink_max: {limit}}}\nname:")

    (problem,) = written.problems()

    assert "no share (expected a percentage as in 20%, or a fraction as in 0.2)" in problem


def test_state_stands_for_the_absolute_state_folder(written: Any) -> None:
    written.change("sis.yaml", "folder: /nowhere", "folder: ${state}/in")

    assert written.district().systems["sis"].source.settings == {"folder": f"{written.state.absolute()}/in"}


# -- the example


def test_the_example_carries_every_column_of_a_oneroster_export(tmp_path: Path) -> None:
    from adapters.oneroster_csv.tables import COLUMNS

    district, _ = check_folder(EXAMPLE, tmp_path)
    assert district is not None
    source = district.systems["sis"].source
    assert source is not None

    for rule in source.entities.values():
        unmapped = set(COLUMNS[rule.table]) - {term.column for term in rule.terms} - {rule.id_field}
        assert unmapped == {"status", "dateLastModified"} - {term.column for term in rule.terms}


def test_the_example_gives_the_assessment_platform_what_the_source_said(tmp_path: Path) -> None:
    district, _ = check_folder(EXAMPLE, tmp_path)
    assert district is not None
    source = district.systems["sis"].source
    destination = district.systems["assessment"].destination
    assert source is not None
    assert destination is not None

    assert set(destination.entities) == set(source.entities) - {"demographics"}
    for name, rule in destination.entities.items():
        back = {term.column: term.field for term in rule.terms}
        said = {term.field: term.column for term in source.entities[name].terms}
        assert back.items() <= said.items()
        assert rule.table == source.entities[name].table


# -- expressions


def test_the_names_of_a_macro_are_not_names_of_the_expression() -> None:
    assert Expression("grades.exists(g, g == '09') && x.map(y, y + z) == []").variables == (
        "grades",
        "x",
        "z",
    )


def test_an_expression_may_use_the_text_functions() -> None:
    assert Expression("[a.trim().lowerAscii(), b].join('-')").execute({"a": " X", "b": "y"}) == "x-y"


def test_what_does_not_parse_says_where_in_one_line() -> None:
    with pytest.raises(BadExpression) as caught:
        Expression("a +")

    assert str(caught.value).endswith("at character 4")
    assert "\n" not in str(caught.value)


# -- who decides, and both ways


def test_several_owners_all_have_to_tell_what_they_own(written: Any) -> None:
    owners = "email: {owner: [warehouse, sis], ties: latest, "
    written.change("entities/student.yaml", "email: {", owners)

    assert written.problems() == [
        "entities/student.yaml:5:18: email.owner: warehouse does not map this field of student in its source:"
    ]


def test_a_date_is_the_local_midnight_of_the_district(written: Any) -> None:
    owner = "owner: [{system: sis, from: 2026-03-08, until: 2026-11-01}, {system: sis, from: 2026-11-02}]"
    written.change("entities/student.yaml", "email: {", f"email: {{{owner}, ")

    rule = written.district().entities["student"].fields["email"]

    # clocks go forward on the first day and back on the second
    assert rule.owner == ""
    assert rule.owners == (
        Period(systems=("sis",), from_ms=1_772_946_000_000, until_ms=1_793_505_600_000),
        Period(systems=("sis",), from_ms=1_793_595_600_000),
    )


def test_a_group_shares_its_owner_and_ties(written: Any) -> None:
    group = "groups: {who: {fields: [givenName, email], owner: sis}}"
    written.change("entities/student.yaml", "owner: sis", f"owner: sis\n{group}")

    fields = written.district().entities["student"].fields

    assert fields["givenName"].group == fields["email"].group == ("givenName", "email")
    assert fields["grades"].group == ()


def test_what_holds_for_every_record_is_compiled(written: Any) -> None:
    written.change("entities/student.yaml", "owner: sis", "owner: sis\ninvariants: ['givenName != email']")

    (invariant,) = written.district().entities["student"].invariants

    assert invariant.program.execute({"givenName": "a", "email": "a"}) is False
    assert set(invariant.program.variables) == {"givenName", "email"}


def test_a_system_that_tells_and_is_told_is_two_way_with_its_own_forms_and_delay(written: Any) -> None:
    destination = """
destination:
  adapter: sql
  settings: {url: "sqlite:////nowhere/y.db"}
  takes_up_within: 36h
  limits: {creates: 500/h, removes: 20/h}
  restores: 5/h
  mode: add-only
  entities:
    student: {on_refused: leave, fields: {mail: email}}
"""
    written.change("sis.yaml", "system: sis\n", f"system: sis\n{destination}")
    district = written.district()
    rule, told = district.entities["student"], district.systems["sis"].destination

    assert rule.two_way == {"sis"}
    assert rule.lags_s == {"sis": 36 * 3600}
    assert rule.leaves == {"sis"}
    assert rule.normal["sis"]["email"](" Ada@X ") == "ada@x"
    assert (told.mode, told.creates_per_hour, told.removes_per_hour, told.restores_per_hour) == (
        "add-only", 500, 20, 5,
    )  # fmt: skip
    assert district.entities["school"].two_way == frozenset()


def test_a_destination_has_its_schedule(written: Any) -> None:
    before = written.district().systems["warehouse"].destination.schedule
    schedule = "  schedule: {windows: ['22:00-05:30', 12:00-24:00], cron: '0 5 * * *'}\n  rate:"
    written.change("warehouse.yaml", "  rate:", schedule)

    after = written.district().systems["warehouse"].destination.schedule
    assert (before, after) == (Schedule(), Schedule(((1320, 330), (720, 1440)), "0 5 * * *"))
