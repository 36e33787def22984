"""The four cases of the three-way merge, field by field, and what follows from them."""

from collections.abc import Mapping
from itertools import permutations

import pytest
from field_stories import Story, email, field, rules

from bus.messages import Outcome, Value
from router.core.fields import TURNS_MAX, TURNS_WITHIN_MS
from router.core.rules import Invariant, Normal

# -- the four cases


def test_what_the_record_has_is_no_news() -> None:
    assert email().says("lms", 5, name="Ada", email="old").outcome is Outcome.UNCHANGED


def test_the_owner_that_alone_has_changed_a_field_is_heard() -> None:
    story = email()

    assert story.says("idp", 5, email="new").outcome is Outcome.ACCEPTED
    assert story.value("email") == "new"


def test_another_that_alone_has_changed_a_field_is_refused_and_is_to_be_corrected() -> None:
    story = email()
    decision = story.says("sis", 5, name="Ada", email="clerk")

    assert (decision.outcome, decision.refused, decision.owed) == (Outcome.REFUSED, ("email",), True)
    assert story.value("email") == "old"
    assert story.conflicts == []


def test_what_two_have_changed_is_a_conflict_and_the_owners_value_stands() -> None:
    story = email()
    story.says("idp", 5, email="new")
    decision = story.says("sis", 6, name="Ada", email="clerk")

    assert (decision.outcome, decision.owed) == (Outcome.CONFLICT, True)
    assert story.value("email") == "new"
    sides = frozenset({("sis", ("clerk",)), ("idp", ("new",))})
    assert story.conflicts == [(("email",), sides, "owner", "idp")]


def test_a_system_that_repeats_what_it_said_before_has_changed_nothing() -> None:
    story = email()
    story.says("idp", 5, email="new")
    decision = story.says("sis", 6, name="Ada", email="old")

    assert decision.outcome is Outcome.UNCHANGED
    assert (story.value("email"), story.conflicts) == ("new", [])


def test_to_and_fro_is_three_pieces_of_news() -> None:
    story = email()
    outcomes = [story.says("idp", at, email=value).outcome for at, value in enumerate(("b", "old", "b"), 1)]

    assert outcomes == [Outcome.ACCEPTED] * 3
    assert story.value("email") == "b"


# -- late, stale, in another order


def test_a_file_that_takes_up_late_what_it_was_given_has_changed_nothing() -> None:
    story = Story(rules(field("email", "idp"), lags_s={"sis": 86_400}), email="old")
    story.says("idp", 5, email="b")
    story.says("idp", 7, email="c")
    given = {"email": ((6, "b"), (8, "c"))}

    for night, value in enumerate(("old", "b", "b", "c"), 1):
        decision = story.says("sis", 10 * night, given=given, name="Ada", email=value)
        assert decision.outcome is Outcome.UNCHANGED, value
    assert (story.value("email"), story.conflicts) == ("c", [])


def test_who_has_taken_up_a_change_and_then_edits_is_refused_and_no_conflict() -> None:
    story = email()
    story.says("idp", 5, email="new")
    decision = story.says("lms", 9, given={"email": ((6, "new"),)}, name="Ada", email="mine")

    assert decision.outcome is Outcome.REFUSED
    assert story.conflicts == []


def test_who_edits_before_a_change_has_reached_it_is_in_conflict() -> None:
    story = email()
    story.says("idp", 5, email="new")
    story.says("lms", 5, given={"email": ((6, "new"),)}, name="Ada", email="mine")

    assert [each[2:] for each in story.conflicts] == [("owner", "idp")]


def test_older_news_of_a_field_is_stale_and_newer_of_another_is_not() -> None:
    story = Story(rules(field("grade", "sis")), grade="9")
    story.says("sis", 10, full=False, grade="10")
    decision = story.says("sis", 8, name="Adele", grade="9")

    assert decision.by_field["grade"] is Outcome.STALE
    assert (story.value("name"), story.value("grade")) == ("Adele", "10")


@pytest.mark.parametrize("first", ["sis", "idp"])
def test_the_same_conflict_whichever_of_two_edits_arrives_first(first: str) -> None:
    story = email()
    edits = {"sis": "clerk", "idp": "new"}
    for system in (first, *(edits.keys() - {first})):
        story.says(system, 5, name="Ada", email=edits[system])

    assert story.value("email") == "new"
    sides = frozenset({("sis", ("clerk",)), ("idp", ("new",))})
    assert story.conflicts == [(("email",), sides, "owner", "idp")]


def test_three_edits_at_once_end_with_the_owners_value_in_every_order() -> None:
    edits = {"sis": "clerk", "idp": "new", "lms": "teacher"}
    for order in permutations(edits):
        story = email()
        for system in order:
            story.says(system, 5, name="Ada", email=edits[system])
        assert story.value("email") == "new"
        losers = {next(iter({s for s, _ in sides if s != "idp"})) for _, sides, _, _ in story.conflicts}  # type: ignore[attr-defined,misc]
        assert losers == {"sis", "lms"}, order


def test_a_claim_is_closed_when_its_system_says_what_stands() -> None:
    story = email()
    story.says("sis", 5, name="Ada", email="clerk")
    story.says("sis", 6, name="Ada", email="old")
    story.says("idp", 7, email="new")

    assert story.conflicts == []


def test_a_system_that_goes_on_claiming_meets_nobody_elses_change() -> None:
    story = email()
    outcomes = [story.says("sis", at, name="Ada", email=f"clerk {at}").outcome for at in (5, 6, 7)]

    assert outcomes == [Outcome.REFUSED] * 3
    assert story.conflicts == []


# -- first contact


def test_at_first_contact_a_difference_is_neither_refused_nor_a_conflict() -> None:
    story = Story(rules(field("email", "idp"), field("phone", "sis")), email="old")
    story.says("sis", 5, name="Ada", email="old", phone="1")
    decision = story.says("lms", 6, name="Ada", email="old", phone="2")

    assert (decision.outcome, decision.contact) == (Outcome.UNCHANGED, ("phone",))
    assert story.value("phone") == "1"


def test_at_first_contact_the_owners_value_stands() -> None:
    story = Story(rules(field("email", "idp")), name="Ada")
    story.says("lms", 4, name="Ada", email="lms says")
    story.says("idp", 5, email="idp says")

    assert (story.value("email"), story.conflicts) == ("idp says", [])


# -- owners and ties


@pytest.mark.parametrize("ties, winner", [("priority", "idp"), ("latest", "sis")])
@pytest.mark.parametrize("first", ["sis", "idp"])
def test_a_tie_is_decided_by_its_rule_in_both_orders(ties: str, winner: str, first: str) -> None:
    story = Story(rules(field("nick", "idp", "sis", ties=ties)), nick="old")
    edits = {"idp": ("from idp", 5), "sis": ("from sis", 6)}
    for system in (first, *(edits.keys() - {first})):
        story.says(system, edits[system][1], name="Ada", nick=edits[system][0])

    assert story.value("nick") == f"from {winner}"
    assert [each[2:] for each in story.conflicts] == [(ties, winner)]


def test_where_a_person_is_asked_the_field_keeps_its_value_and_echoes_do_not_close_it() -> None:
    story = Story(rules(field("nick", "idp", "sis", ties="ask")), nick="old")
    story.says("idp", 5, name="Ada", nick="I")
    story.says("sis", 6, name="Ada", nick="S")
    kept = story.value("nick")
    story.says("idp", 7, name="Ada", nick="I")
    again = story.says("sis", 8, name="Ada", nick="T")

    assert story.record is not None
    assert story.record.asked == {"nick": ("idp", "sis")}
    assert (kept, story.value("nick")) == ("I", "I")
    assert again.by_field["nick"] in (Outcome.HELD, Outcome.CONFLICT)


def test_nobody_owns_a_field_nobody_moves() -> None:
    story = Story(rules(field("note")), note=None)

    assert story.says("sis", 5, name="Ada", note="x").outcome is Outcome.REFUSED
    assert story.value("note") is None


def test_a_field_that_goes_to_and_fro_between_two_is_stopped() -> None:
    story = Story(rules(field("nick", "idp", "sis")), nick="0")
    for turn in range(TURNS_MAX + 3):
        system = ("idp", "sis")[turn % 2]
        given = {"nick": ((turn * 10, story.value("nick")),)}
        story.says(system, turn * 10 + 5, given=given, name="Ada", nick=f"{turn + 1}")

    assert story.record is not None
    assert [each[2:] for each in story.conflicts][:1] == [("bouncing", "")]
    assert story.record.asked == {"nick": ("idp", "sis")}


def test_a_field_that_goes_to_and_fro_over_hours_is_let_be() -> None:
    story = Story(rules(field("nick", "idp", "sis")), nick="0")
    for turn in range(3 * TURNS_MAX):
        at_ms = turn * TURNS_WITHIN_MS // 2
        given = {"nick": ((at_ms - 5, story.value("nick")),)}
        story.says(("idp", "sis")[turn % 2], at_ms, given=given, name="Ada", nick=f"{turn + 1}")

    assert (story.value("nick"), story.conflicts) == (f"{3 * TURNS_MAX}", [])


def test_a_field_that_was_stopped_stays_a_persons_to_decide() -> None:
    story = Story(rules(field("nick", "lms", "idp", "sis")), nick="0")
    for turn in range(TURNS_MAX + 1):
        given = {"nick": ((turn * 10, story.value("nick")),)}
        story.says(("idp", "sis")[turn % 2], turn * 10 + 5, given=given, name="Ada", nick=f"{turn + 1}")
    stopped, stands = len(story.conflicts), story.value("nick")

    for system in ("sis", "idp", "lms"):
        story.says(system, 1_000, name="Ada", nick=f"{system}'s")

    assert story.value("nick") == stands
    assert {each[3] for each in story.conflicts[stopped - 1 :]} == {""}


# -- groups, invariants, forms


def test_a_group_is_compared_as_a_whole_with_what_its_system_said_of_the_others() -> None:
    pair = ("street", "city")
    story = Story(
        rules(field("street", "sis", group=pair), field("city", "sis", group=pair)), street="A 1", city="Ulm"
    )
    story.says("sis", 5, full=False, street="B 2")
    decision = story.says("lms", 6, full=False, city="Bonn")

    assert (story.value("street"), story.value("city")) == ("B 2", "Ulm")
    assert decision.outcome is Outcome.CONFLICT
    assert story.conflicts[0][0] == pair
    assert ("lms", ("A 1", "Bonn")) in story.conflicts[0][1]  # type: ignore[operator]


class Ordered:
    """The expression `begin <= end`."""

    variables = ("begin", "end")

    def execute(self, context: Mapping[str, object], /) -> object:
        return context["begin"] <= context["end"]  # type: ignore[operator]


def test_a_unit_that_would_break_what_must_hold_keeps_its_old_values() -> None:
    invariant = Invariant(text="begin <= end", program=Ordered())
    story = Story(
        rules(field("begin", "sis"), field("end", "idp"), invariants=(invariant,)), begin="2", end=None
    )
    story.says("idp", 4, begin="2", end="5")
    decision = story.says("sis", 5, name="Bea", begin="7", end="5")

    assert (story.value("begin"), story.value("name")) == ("2", "Bea")
    assert decision.outcome is Outcome.CONFLICT
    assert story.conflicts[-1][2] == "invariant"


def test_what_a_system_writes_in_its_own_form_is_the_same() -> None:
    def lower(value: Value) -> Value:
        return str(value).lower()

    normal: dict[str, dict[str, Normal]] = {"lms": {"email": lower}}
    story = Story(rules(field("email", "idp"), normal=normal), email="A@x")

    assert story.says("lms", 5, name="Ada", email="a@x").outcome is Outcome.UNCHANGED
    assert story.says("lms", 6, name="Ada", email="b@x").outcome is Outcome.REFUSED


def test_a_refused_claim_that_means_what_the_owner_says_later_is_no_conflict() -> None:
    def lower(value: Value) -> Value:
        return str(value).lower()

    normal: dict[str, dict[str, Normal]] = {"sis": {"email": lower}}
    story = Story(rules(field("email", "idp"), normal=normal), email="a@x")
    story.says("sis", 5, name="Ada", email="b@x")
    story.says("idp", 6, name="Ada", email="B@x")

    assert (story.value("email"), story.conflicts) == ("B@x", [])
    assert story.record is not None
    assert story.record.seen["sis"].said == {}
