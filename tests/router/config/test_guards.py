"""`guards:` of district.yaml: limits, the first read, blackout windows."""

from datetime import UTC, datetime
from typing import Any

import pytest

from router.core.rules import Guards, Limit


def guards(written: Any, text: str) -> Guards:
    written.change("district.yaml", "name:", f"guards: {{{text}}}\nname:")
    found: Guards = written.district().guards
    return found


def test_without_a_word_the_limits_are_those_of_the_rules(written: Any) -> None:
    assert written.district().guards == Guards()


def test_a_first_read_is_held_unless_it_may_flow(written: Any) -> None:
    assert written.district().guards.first_read == "hold"
    assert guards(written, "first_read: flow").first_read == "flow"


def test_limits_are_a_share_and_a_number_each(written: Any) -> None:
    found = guards(
        written,
        "removes: {share: 10%, records: 30}, creates: {share: 0.5, records: 0},"
        " district: {updates: {share: 1%, records: 5}}, population_min: 9, approval: 36h",
    )

    assert (found.removes, found.creates) == (Limit(share=0.1, records=30), Limit(share=0.5, records=0))
    assert found.district_updates == Limit(share=0.01, records=5)
    assert found.district_removes == Guards().district_removes
    assert (found.population_min, found.approval_s) == (9, 36 * 3600.0)


def test_a_blackout_is_from_midnight_to_midnight_where_the_district_is(written: Any) -> None:
    (window,) = guards(written, "blackouts: [{from: 2027-06-15, until: 2027-08-10}]").blackouts

    begin, end = (datetime.fromtimestamp(ms / 1000, UTC).isoformat() for ms in window)
    assert (begin, end) == ("2027-06-15T04:00:00+00:00", "2027-08-10T04:00:00+00:00")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("blackouts: [{from: soon, until: 2027-08-10}]", '"soon" is no date'),
        ("blackouts: [{from: 2027-06-15, until: later}]", '"later" is no date'),
        ("blackouts: [{from: 2027-06-15, until: 2027-06-15}]", "is not after 2027-06-15"),
        ("removes: {share: 10%}", '"records"'),
        ("first_read: wait", "Expected one of: hold, flow"),
    ],
)
def test_a_guard_that_means_nothing_is_a_mistake_with_its_place(
    written: Any, text: str, problem: str
) -> None:
    written.change("district.yaml", "name:", f"guards: {{{text}}}\nname:")

    (found,) = written.problems()

    assert found.startswith("district.yaml:1:") and problem in found


def test_ends_leads_to_a_date(written: Any) -> None:
    written.change("entities/student.yaml", "owner: sis", "owner: sis\nends: [email]")

    (found,) = written.problems()

    assert 'ends: "email": student has no date "email"' in found
