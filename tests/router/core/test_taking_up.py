"""What a system was told it takes up: at once or nights later, over its own edits, with a wrong clock."""

from bus.messages import Event, Op, Outcome, Record, Value
from router.core.held import Given, Told
from router.core.merge import Decision, merge
from router.core.rules import EntityRule, FieldRule, Period, Type

HOUR_MS = 3_600_000
SKEW_MS = 300_000
TURN_MS = 100 * HOUR_MS


def field(name: str, owner: str, **also: object) -> FieldRule:
    return FieldRule(name=name, type=Type.TEXT, owner=owner, **also)  # type: ignore[arg-type]


FIELDS = {
    each.name: each
    for each in (
        field("name", "sis"),
        field("email", "idp"),
        field("badge", "", owners=(Period(systems=("sis",), until_ms=TURN_MS), Period(systems=("idp",)))),
        field("street", "lms", group=("street", "town")),
        field("town", "lms", group=("street", "town")),
    )
}
RULES = EntityRule(
    name="student",
    owner="sis",
    fields=FIELDS,
    two_way=frozenset({"sis", "idp", "lms"}),
    lags_s={"sis": 96 * 3600.0},
    skews_ms={"idp": SKEW_MS},
)
AGREED: dict[str, Value] = {name: "old" for name in FIELDS}


class Life:
    """One record, from when all systems have agreed on it."""

    def __init__(self) -> None:
        self.record: Record | None = None
        self.seq = 0
        for system in ("sis", "idp", "lms"):
            self.says(system, 0)

    def says(
        self, system: str, at_ms: int, *, op: Op = Op.UPDATE, given: Given | None = None, **news: Value
    ) -> Decision:
        self.seq += 1
        fields = {**AGREED, **news} if op is Op.UPDATE else {}
        event = Event(str(self.seq), system, "student", op, "7", fields, True, at_ms)
        decision = merge(self.record, event, "student/7", RULES, self.seq, Told(given or {}))
        self.record = decision.record
        return decision

    def value(self, name: str) -> Value:
        assert self.record is not None
        return self.record.values[name]


def test_who_no_longer_owns_a_field_is_not_heard_over_its_own_older_edit() -> None:
    life = Life()
    life.says("sis", HOUR_MS, badge="sis's")
    given = {"badge": ((1, "old"), (2 * HOUR_MS, "sis's"))}
    life.says("sis", 50 * HOUR_MS, given=given, badge="old")  # it takes up what it was given before
    decision = life.says("sis", TURN_MS, given=given, badge="too late")

    assert decision.outcome is Outcome.REFUSED
    assert (life.value("badge"), decision.conflicts) == ("sis's", ())


def test_who_takes_up_something_older_over_its_own_edit_is_told_again() -> None:
    life = Life()
    life.says("idp", HOUR_MS, email="b")
    given = {"email": ((2 * HOUR_MS, "b"),), "name": ((2 * HOUR_MS, "old"),)}
    assert life.says("sis", 20 * HOUR_MS, given=given, name="sis's").outcome is Outcome.ACCEPTED
    decision = life.says("sis", 40 * HOUR_MS, given=given, name="old", email="b")

    assert (decision.outcome, decision.owed, life.value("name")) == (Outcome.UNCHANGED, True, "sis's")


def test_who_takes_up_what_is_followed_by_what_stands_is_left_alone() -> None:
    life = Life()
    life.says("idp", HOUR_MS, email="b")
    life.says("idp", 3 * HOUR_MS, email="c")
    given = {"email": ((2 * HOUR_MS, "b"), (4 * HOUR_MS, "c"))}
    decision = life.says("sis", 20 * HOUR_MS, given=given, email="b")

    assert (decision.outcome, decision.owed) == (Outcome.UNCHANGED, False)


def test_the_same_in_two_import_files_may_come_twice() -> None:
    life = Life()
    life.says("idp", HOUR_MS, email="b")
    given = {"email": ((2 * HOUR_MS, "b"), (5 * HOUR_MS, "b"))}
    outcomes = [
        life.says("sis", at * HOUR_MS, given=given, email=value).outcome
        for at, value in ((10, "b"), (20, "typed"), (30, "b"))
    ]

    assert outcomes == [Outcome.UNCHANGED, Outcome.REFUSED, Outcome.UNCHANGED]
    assert life.value("email") == "b"


def test_a_group_is_recognised_though_its_members_were_given_at_other_times() -> None:
    life = Life()
    life.says("lms", HOUR_MS, street="s", town="t1")
    life.says("lms", 3 * HOUR_MS, street="s", town="t2")
    life.says("sis", 9 * HOUR_MS, street="mine", town="too")
    given = {
        "street": ((4 * HOUR_MS, "s"),),
        "town": ((2 * HOUR_MS, "t1"), (4 * HOUR_MS, "t2")),
    }

    assert life.says("sis", 20 * HOUR_MS, given=given, street="s", town="t1").outcome is Outcome.UNCHANGED


def test_who_takes_up_at_once_and_says_later_what_it_had_before_has_gone_back_to_it() -> None:
    life = Life()
    life.says("sis", HOUR_MS, name="new")
    given = {"name": ((2 * HOUR_MS, "new"),)}
    decision = life.says("idp", 3 * HOUR_MS, given=given, name="old")

    assert (decision.outcome, decision.refused, decision.owed) == (Outcome.REFUSED, ("name",), True)


def test_an_owner_that_goes_back_to_what_it_had_is_heard() -> None:
    life = Life()
    life.says("idp", HOUR_MS, email="b")
    given = {"email": ((2 * HOUR_MS, "b"),)}
    assert life.says("idp", 3 * HOUR_MS, given=given, email="old").outcome is Outcome.ACCEPTED
    assert life.value("email") == "old"


def test_who_says_what_it_had_just_after_it_was_told_is_no_news_and_is_told_again() -> None:
    life = Life()
    life.says("sis", HOUR_MS, name="new")
    at_ms = 2 * HOUR_MS
    decision = life.says("idp", at_ms + SKEW_MS - 1, given={"name": ((at_ms, "new"),)}, name="old")

    assert (decision.outcome, decision.owed) == (Outcome.UNCHANGED, True)


def test_what_is_typed_back_right_after_a_write_is_heard_where_our_own_clock_dates_it() -> None:
    life = Life()
    given = {"street": ((2 * HOUR_MS, "old"),)}

    for after_ms, street in ((0, "b"), (1, "old"), (2, "b"), (3, "old")):
        decision = life.says("lms", 2 * HOUR_MS + after_ms, given=given, street=street)
        assert (decision.outcome, decision.owed, life.value("street")) == (Outcome.ACCEPTED, False, street)


def test_who_changes_back_right_away_what_it_was_told_is_heard_where_our_own_clock_dates_it() -> None:
    life = Life()
    given = {"street": ((2 * HOUR_MS, "picked"),), "town": ((2 * HOUR_MS, "picked"),)}
    assert life.record is not None
    picked = life.record._replace(
        values={**life.record.values, "street": "picked", "town": "picked"},
        seen={
            **life.record.seen,
            "lms": life.record.seen["lms"]._replace(said={"street": "old", "town": "old"}),
        },
    )
    life.record = picked

    decision = life.says("lms", 2 * HOUR_MS + 1, given=given)

    assert (decision.outcome, life.value("street")) == (Outcome.ACCEPTED, "old")


def test_what_was_looked_at_before_it_was_told_is_no_news_and_is_left_alone() -> None:
    life = Life()
    life.says("sis", HOUR_MS, name="new")
    decision = life.says("idp", 2 * HOUR_MS - 1, given={"name": ((2 * HOUR_MS, "new"),)}, name="old")

    assert (decision.outcome, decision.owed) == (Outcome.UNCHANGED, False)


def test_a_clock_that_runs_ahead_makes_no_edit_of_what_its_system_had_just_before() -> None:
    life = Life()
    life.says("sis", HOUR_MS, name="b")
    life.says("sis", 3 * HOUR_MS, name="c")
    given = {"name": ((2 * HOUR_MS, "b"), (4 * HOUR_MS, "c"))}
    decision = life.says("idp", 4 * HOUR_MS + SKEW_MS - 1, given=given, name="b")

    assert (decision.outcome, life.value("name")) == (Outcome.UNCHANGED, "c")


def test_what_others_said_before_a_removal_is_no_base_after_the_return() -> None:
    life = Life()
    life.says("idp", HOUR_MS, email="idp's")
    life.says("sis", 2 * HOUR_MS, op=Op.DELETE)
    life.says("sis", 30 * HOUR_MS, name="back")

    assert life.record is not None
    assert life.record.seen["idp"].names == ()
    assert life.says("idp", 31 * HOUR_MS, name="back", email="new").outcome is Outcome.ACCEPTED


def test_who_reports_late_that_it_has_removed_what_is_back_is_not_refused_and_is_told_again() -> None:
    life = Life()
    life.says("sis", 2 * HOUR_MS, op=Op.DELETE)
    life.says("sis", 30 * HOUR_MS, name="back")
    given = {"name": ((31 * HOUR_MS, "back"),)}
    decision = life.says("idp", 29 * HOUR_MS, op=Op.DELETE, given=given)

    assert (decision.outcome, decision.owed) == (Outcome.UNCHANGED, True)


def test_who_removes_what_it_was_given_after_the_return_is_refused() -> None:
    life = Life()
    life.says("sis", 2 * HOUR_MS, op=Op.DELETE)
    life.says("sis", 30 * HOUR_MS, name="back")
    decision = life.says("idp", 40 * HOUR_MS, op=Op.DELETE, given={"name": ((31 * HOUR_MS, "back"),)})

    assert (decision.outcome, decision.owed) == (Outcome.REFUSED, True)


def test_what_a_system_speaks_of_again_it_has() -> None:
    life = Life()
    life.says("idp", HOUR_MS, op=Op.DELETE)
    life.says("idp", 3 * HOUR_MS)

    assert life.record is not None
    assert life.record.seen["idp"].said == {}


def test_an_older_import_file_with_the_same_value_does_not_undo_the_owners_edit() -> None:
    life = Life()
    given = {"name": ((2 * HOUR_MS, "old"), (5 * HOUR_MS, "old"))}
    life.says("sis", 10 * HOUR_MS, given=given, name="old")
    life.says("sis", 20 * HOUR_MS, given=given, name="typed")
    decision = life.says("sis", 30 * HOUR_MS, given=given, name="old")

    assert (decision.outcome, decision.owed, life.value("name")) == (Outcome.UNCHANGED, True, "typed")
