"""Dates and people decide."""

from collections.abc import Mapping
from dataclasses import replace

from bus.messages import Claim, Event, Op, Origin, Outcome, Record, Seen
from router.core.acts import BROKEN, decide_date, decide_pick, whole_groups
from router.core.rules import EntityRule, FieldRule, Invariant, Period, Type

BADGE = FieldRule(
    name="badge",
    type=Type.TEXT,
    owner="",
    owners=(Period(systems=("sis",), until_ms=100), Period(systems=("idp",))),
)
RULES = EntityRule(name="student", owner="sis", fields={"badge": BADGE})
RECORD = Record(
    "student/7", "student", 3, 9, False, (), 1, {"badge": "1"},
    {"badge": Origin("sis", 1, 5, "owner", 1)}, {},
    {"idp": Seen(6, ("badge",), {"badge": "2"}, claims={"badge": Claim(4, 6)}), "sis": Seen(5, ("badge",))},
)  # fmt: skip


def date(at_ms: int) -> Event:
    return Event("1", "yellowbus", "student", Op.DATE, "", {}, False, at_ms, act={"key": "student/7"})


def pick(value: str, looked_at: int) -> Event:
    about = {"looked_at": looked_at, "who": "kim", "why": "asked"}
    return Event("1", "operator", "student", Op.PICK, "", {"badge": value}, False, 200, act=about)


def test_the_claim_of_who_has_authority_from_now_on_stands() -> None:
    decision = decide_date(RECORD, date(100), RULES, 12, {})
    assert decision.record is not None

    assert (decision.outcome, decision.changed, decision.record.rev) == (Outcome.ACCEPTED, ("badge",), 4)
    assert decision.record.values == {"badge": "2"}
    assert decision.record.origins["badge"] == Origin("idp", 12, 100, "owner", 4)
    assert decision.record.seen["idp"].said == {}
    assert decision.record.seen["sis"].said == {"badge": "1"}


def test_before_that_date_and_without_an_open_claim_nothing_changes() -> None:
    lost = RECORD.seen["idp"]._replace(claims={"badge": Claim(4, 6, is_open=False)})

    assert not decide_date(RECORD, date(99), RULES, 12, {}).makes_change
    assert not decide_date(RECORD._replace(seen={"idp": lost}), date(100), RULES, 12, {}).makes_change
    assert not decide_date(RECORD._replace(deleted=True), date(100), RULES, 12, {}).makes_change
    assert not decide_date(None, date(100), RULES, 12, {}).makes_change


def test_what_a_person_picks_stands_and_says_who() -> None:
    decision = decide_pick(RECORD._replace(asked={"badge": ("idp", "sis")}), pick("2", 3), RULES, 12)
    assert decision.record is not None

    assert decision.record.values == {"badge": "2"}
    assert decision.record.origins["badge"].rule == "picked"
    assert decision.record.asked == {}
    assert decision.record.seen["sis"].said == {"badge": "1"}
    assert decision.record.seen["idp"].claims == {}


def test_a_pick_of_what_stands_closes_the_question() -> None:
    decision = decide_pick(RECORD._replace(asked={"badge": ("idp", "sis")}), pick("1", 3), RULES, 12)

    assert decision.makes_change
    assert decision.record is not None and decision.record.asked == {}


def test_a_pick_on_what_has_changed_since_answers_look_again() -> None:
    newer = RECORD._replace(origins={"badge": Origin("sis", 8, 50, "owner", 3)})

    assert decide_pick(newer, pick("2", 2), RULES, 12).outcome is Outcome.REFUSED
    assert decide_pick(newer, pick("2", 3), RULES, 12).outcome is Outcome.ACCEPTED
    assert decide_pick(None, pick("2", 3), RULES, 12).outcome is Outcome.REFUSED


class OneDigit:
    """The expression `size(badge) == 1`."""

    variables = ("badge",)

    def execute(self, context: Mapping[str, object], /) -> object:
        return len(str(context["badge"])) == 1


def test_what_a_person_picks_must_hold_what_holds_in_every_record() -> None:
    rules = replace(RULES, invariants=(Invariant(text="size(badge) == 1", program=OneDigit()),))
    broken = decide_pick(RECORD, pick("22", 3), rules, 12)

    assert (broken.outcome, broken.refused) == (Outcome.REFUSED, ("badge",))
    assert broken.reason == f"{BROKEN} size(badge) == 1"
    assert decide_pick(RECORD, pick("2", 3), rules, 12).outcome is Outcome.ACCEPTED


def test_who_picks_one_member_of_a_group_picks_it_whole() -> None:
    group = ("street", "town")
    fields = {n: FieldRule(name=n, type=Type.TEXT, owner="sis", group=group) for n in group}
    rules = replace(RULES, fields={**RULES.fields, **fields})
    record = RECORD._replace(values={"badge": "1", "street": "A 1", "town": "Ulm"})

    assert whole_groups({"town": "Bonn"}, record, rules) == {"street": "A 1", "town": "Bonn"}
    assert whole_groups({"badge": "2"}, record, rules) == {"badge": "2"}
