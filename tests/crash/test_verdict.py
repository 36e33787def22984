"""Each check of the crash test can fail: a fault is planted, and it is named. Without one nothing is."""

from collections.abc import Callable, Iterator

import pytest
from crash.book import Applied
from crash.verdict import (
    Decided,
    changes_follow_on,
    deliveries_settled_once,
    events_settled_once,
    has_what_it_should,
    ids_say_one_thing,
    nothing_made_twice,
    versions_never_go_back,
)

from bus.messages import AuditRecord, Outcome, Step

ADA, BEN = "student/ada", "student/ben"
EVENTS = {1: "e1", 2: "e2", 3: "e3"}
CHANGES = [Decided(ADA, 1, 1), Decided(BEN, 1, 2), Decided(ADA, 2, 3)]


def event(seq: int, outcome: Outcome = Outcome.ACCEPTED) -> AuditRecord:
    return AuditRecord(f"event/{seq}", Step.EVENT, outcome, 0, seq=seq)


def delivery(key: str, first: int, last: int, outcome: Outcome = Outcome.DELIVERED) -> AuditRecord:
    id_ = f"delivery/lms/{key}/{first}"
    return AuditRecord(id_, Step.DELIVERY, outcome, 0, destination="lms", key=key, rev_from=first, rev=last)


AUDIT = [event(1), event(2), event(3), delivery(ADA, 1, 1), delivery(BEN, 1, 1), delivery(ADA, 2, 2)]

Check = Callable[[list[AuditRecord]], Iterator[str]]


def of_events(audit: list[AuditRecord]) -> Iterator[str]:
    return events_settled_once(EVENTS, audit)


def of_deliveries(audit: list[AuditRecord]) -> Iterator[str]:
    return deliveries_settled_once(CHANGES, audit, {"lms": ("student",)})


@pytest.mark.parametrize("check", [of_events, of_deliveries, ids_say_one_thing])
def test_an_audit_that_is_as_it_should_be_passes_also_when_it_is_told_twice(check: Check) -> None:
    assert list(check(AUDIT)) == []
    assert list(check([*AUDIT, *AUDIT])) == []
    assert list(check([*AUDIT[:4], delivery(BEN, 1, 1), AUDIT[5]])) == []


@pytest.mark.parametrize(
    ("check", "audit", "named"),
    [
        (of_events, AUDIT[1:], "event 1 was settled 0 times"),
        (of_events, [*AUDIT, event(1)._replace(id="event/1.again")], "event 1 was settled 2 times"),
        (of_events, [*AUDIT, event(4)], "event 4 was settled, and is not on EVENTS"),
        (of_events, [event(1, Outcome.HELD), *AUDIT[1:]], "event 1 ended as held"),
        (of_deliveries, AUDIT[:4], f"lms {BEN}: settled up to rev 0 of 1"),
        (of_deliveries, AUDIT[:5], f"lms {ADA}: settled up to rev 1 of 2"),
        (of_deliveries, [*AUDIT[:3], *AUDIT[4:]], f"lms {ADA}: revs 2..2 were settled after 1..0"),
        (of_deliveries, [*AUDIT[:5], delivery(ADA, 3, 3)], f"lms {ADA}: revs 3..3 were settled after 1..1"),
        (of_deliveries, [*AUDIT, delivery(ADA, 1, 2)._replace(id="x")], f"lms {ADA}: revs 1..2 were settled"),
        (of_deliveries, [*AUDIT, delivery("student/cy", 1, 1)], "lms student/cy: settled, and there is no"),
        (of_deliveries, [*AUDIT[:5], delivery(ADA, 2, 2, Outcome.FAILED)], f"lms {ADA}: ended as failed"),
        (
            ids_say_one_thing,
            [*AUDIT, event(1, Outcome.STALE)],
            "audit event/1 stands there with two contents",
        ),
    ],
)
def test_what_was_not_settled_once_is_named(check: Check, audit: list[AuditRecord], named: str) -> None:
    assert any(said.startswith(named) for said in check(audit)), list(check(audit))


def test_an_event_that_stands_there_twice_is_named() -> None:
    found = events_settled_once({**EVENTS, 4: "e1"}, [*AUDIT, event(4)])

    assert list(found) == ["event e1 stands on EVENTS 2 times"]


def test_changes_that_do_not_follow_on_are_named() -> None:
    assert list(changes_follow_on(CHANGES)) == []
    assert list(changes_follow_on(CHANGES[1:])) == [f"{ADA}: rev 2 after 0"]
    assert list(changes_follow_on([*CHANGES, Decided(BEN, 1, 4)])) == [f"{BEN}: rev 1 after 1"]
    assert list(changes_follow_on([*CHANGES, Decided(BEN, 2, 3)])) == ["event 3 was decided 2 times"]


def test_what_is_made_while_it_is_there_is_named() -> None:
    made, gone = Applied("users", "ada", "create", 1), Applied("users", "ada", "delete", 2)

    assert list(nothing_made_twice("lms", [made, made._replace(record="ben"), gone, made])) == []
    assert list(nothing_made_twice("lms", [made, made])) == ["lms users ada: was made a second time"]


def test_an_older_version_after_a_newer_one_is_named() -> None:
    def at(version: int | None) -> Applied:
        return Applied("users", "ada", "update", version)

    assert list(versions_never_go_back("lms", [at(1), at(3), at(None), at(3)])) == []
    assert list(versions_never_go_back("lms", [at(3), at(2)])) == [
        "lms users ada: an older version after a newer one"
    ]


def test_what_is_missing_too_much_twice_or_different_at_a_destination_is_named() -> None:
    ada, ben = ("ada", {"name": "Ada"}), ("ben", {"name": "Ben"})
    wanted = {"users": [ada, ben]}

    def found(*rows: tuple[str, dict[str, str]]) -> list[str]:
        return list(has_what_it_should("lms", wanted, {"users": rows}))

    assert found(ben, ("ada", {"name": "Ada", "more": "x"})) == []
    assert found(ada) == ["lms users ben: is not there"]
    assert found(ada, ben, ("cy", {})) == ["lms users cy: is there, and should not be"]
    assert found(ada, ben, ben) == ["lms users ben: is there 2 times"]
    assert found(ada, ("ben", {"name": "Bo"})) == ["lms users ben: other values of name"]
