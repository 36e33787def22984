"""Who may decide a field, when."""

from router.core.authority import next_instant, owners_at, wins
from router.core.rules import EntityRule, FieldRule, Period, Type


def field(*owners: Period, ties: str = "priority") -> FieldRule:
    return FieldRule(name="state", type=Type.TEXT, owner="", owners=owners, ties=ties)


LMS_THEN_SIS = field(Period(systems=("lms",), from_ms=10, until_ms=20), Period(systems=("sis",)))
DURING = field(Period(systems=("lms",), during="class.terms"), Period(systems=("sis",)))


def test_a_period_begins_with_its_first_instant_and_ends_before_its_last() -> None:
    assert [owners_at(LMS_THEN_SIS, at) for at in (9, 10, 19, 20)] == [("sis",), ("lms",), ("lms",), ("sis",)]


def test_a_period_holds_while_one_of_its_terms_lasts() -> None:
    spans = {"class.terms": ((10, 20), (30, 40))}

    found = [owners_at(DURING, at, spans) for at in (9, 10, 20, 30, 40)]
    assert found == [("sis",), ("lms",), ("sis",), ("lms",), ("sis",)]
    assert owners_at(DURING, 15) == ("sis",)


def test_where_no_period_holds_nobody_has_authority() -> None:
    assert owners_at(field(Period(systems=("lms",), until_ms=5)), 5) == ()
    assert owners_at(field(), 0) == ()


def test_the_next_instant_is_the_next_bound_of_any_field() -> None:
    rules = EntityRule(name="enrollment", owner="sis", fields={"a": LMS_THEN_SIS, "b": DURING})
    spans = {"class.terms": ((12, 18),)}

    assert [next_instant(rules, at, spans) for at in (0, 10, 12, 18, 20)] == [10, 12, 18, 20, None]


def test_who_has_authority_alone_is_right_and_else_the_ties_decide() -> None:
    def decided(rule: FieldRule, at_ms: int, other_ms: int) -> tuple[str, str]:
        return wins(rule, system="sis", at_ms=at_ms, other="idp", other_ms=other_ms)

    several = Period(systems=("idp", "sis"))
    assert decided(field(Period(systems=("sis",))), 5, 6) == ("sis", "owner")
    assert decided(field(Period(systems=("lms",))), 5, 6) == ("idp", "owner")
    assert decided(field(several), 6, 5) == ("idp", "priority")
    assert decided(field(several, ties="latest"), 6, 5) == ("sis", "latest")
    assert decided(field(several, ties="latest"), 5, 5) == ("idp", "latest")
    assert decided(field(several, ties="ask"), 6, 5) == ("", "ask")
