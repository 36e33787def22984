"""Two-way from end to end, by real processes: SIS folder, identity provider, LMS, warehouse, and the router.

One district for all tests; each has a student or an enrollment of its own in it.
"""

import asyncio
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from four_systems import Four, day, edited, four_systems
from running import until

from bus.messages import Outcome

DISPLAY_NAME = "  preferredGivenName: {class: directory, owner: [lms, sis]}"


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Four]:
    with four_systems(tmp_path_factory.mktemp("four")) as four:
        config = four.place.config
        edited(
            config / "entities" / "student.yaml",
            ("  middleName: {class: directory}", "  middleName: {owner: [lms, sis], ties: ask}"),
        )
        edited(
            config / "lms.yaml",
            ("familyName: last_name\n", "familyName: last_name\n        middleName: middle_name\n"),
            (
                "last_name: familyName\n        display",
                "middle_name: middleName\n        last_name: familyName\n        display",
            ),
        )
        edited(
            config / "sis.yaml",
            (
                "        email: email              #",
                "        middle_name: middleName\n        email: email              #",
            ),
        )
        asyncio.run(begun(four))
        yield four


async def begun(four: Four) -> None:
    await four.lms.start()
    await four.router.start()
    await four.sis_exports()
    await four.polled()


@pytest.fixture(scope="module")
def students(four: Four) -> Iterator[str]:
    """One after the other."""
    return iter(four.export.students())


async def test_a_legal_name_edited_in_the_lms_is_refused_and_set_right_there(
    four: Four, students: Iterator[str]
) -> None:
    id_ = next(students)
    name = four.lms.record("users", id_)["first_name"]

    await four.teach("users", id_, first_name="Somebody")

    assert four.lms.record("users", id_)["first_name"] == name
    assert four.warehouse("students", id_)["givenName"] == name
    field = await four.field(f"student/{id_}", "givenName")
    assert (field["value"], field["source"]) == (name, "sis")
    assert [each.outcome for each in await four.audited(f"student/{id_}")][-1] == Outcome.REFUSED
    assert await four.conflicts(f"student/{id_}") == []


async def test_the_lms_is_told_nothing_that_it_said_itself(four: Four, students: Iterator[str]) -> None:
    id_ = next(students)
    before = four.lms.told_so_far()

    await four.teach("users", id_, display_name="Addie")
    await four.teach("users", id_, display_name="Ad")
    await four.teach("users", id_, display_name="Addie")

    assert four.warehouse("students", id_)["preferredGivenName"] == "Addie"
    assert four.lms.told(after=before) == []


async def test_what_is_edited_in_the_lms_right_after_it_was_told_is_news_and_what_is_edited_back_too(
    four: Four, students: Iterator[str]
) -> None:
    id_ = next(students)
    four.export.edit("users", id_, familyName="Told-Justnow")
    await four.sis_exports()
    before, there = four.lms.told_so_far(), []
    assert four.lms.record("users", id_)["last_name"] == "Told-Justnow"

    for name in ("Mine", "", "Mine", ""):
        await four.teach("users", id_, display_name=name)
        there.append(four.warehouse("students", id_)["preferredGivenName"])

    assert there == ["Mine", None, "Mine", None]
    assert four.lms.record("users", id_)["display_name"] == ""
    assert four.lms.told(after=before) == []


async def test_e_mail_changed_in_two_systems_between_two_syncs_is_one_conflict_and_the_owners_everywhere(
    four: Four, students: Iterator[str]
) -> None:
    id_ = next(students)
    key, others = f"student/{id_}", await four.alerts("conflict")

    await four.idp_edits(id_, **{'emails[type eq "work"].value': "idp@ex.org"})
    four.export.edit("users", id_, email="clerk@ex.org")
    await four.sis_exports()

    (conflict,) = await four.conflicts(key)
    assert (conflict["fields"], conflict["winner"], conflict["state"]) == (["email"], "idp", "settled")
    (alert,) = [each for each in await four.alerts("conflict") if each not in others]
    assert "email" in alert.text and "@" not in alert.text
    assert four.account(id_)["emails"][0]["value"] == "idp@ex.org"
    assert four.lms.record("users", id_)["email"] == "idp@ex.org"
    assert four.warehouse("students", id_)["email"] == "idp@ex.org"
    assert [row["email"] for row in four.sis_imports("students", id_)] == ["idp@ex.org"] * 2

    # In the night the SIS takes up what it was told: it agrees, and is told no more.
    four.export.edit("users", id_, email="idp@ex.org")
    await four.sis_exports()

    assert await four.conflicts(key) == [conflict]
    assert len(four.sis_imports("students", id_)) == 2
    assert (await four.says("explain", key))["systems"]["sis"]["differs"] == []


async def test_where_a_tie_is_asked_nothing_moves_until_a_person_picks_and_then_both_get_it(
    four: Four, students: Iterator[str]
) -> None:
    id_ = next(students)
    key = f"student/{id_}"

    await four.teach("users", id_, middle_name="Lmsdaughter")
    four.export.edit("users", id_, middleName="Sisdaughter")
    before = four.lms.told_so_far(), len(four.sis_imports("students", id_))
    await four.sis_exports()
    (conflict,) = await four.conflicts(key)
    waiting = await four.field(key, "middleName")

    assert (conflict["state"], conflict["rule"], conflict["winner"]) == ("asked", "ask", "")
    assert (waiting["value"], waiting["asked"]) == ("Lmsdaughter", ["lms", "sis"])
    assert four.lms.told("users", id_, after=before[0]) == []
    assert four.sis_imports("students", id_)[before[1] :] == []

    why = ("--set", "middleName=Askeddaughter", "--why", "rang the parents")
    picked = await asyncio.to_thread(four.run, "conflicts", "resolve", conflict["id"], *why)
    await four.quiet()

    assert picked.exit_code == 0, picked.output
    assert four.lms.record("users", id_)["middle_name"] == "Askeddaughter"
    assert four.warehouse("students", id_)["middleName"] == "Askeddaughter"
    assert four.sis_imports("students", id_)[-1]["middle_name"] == "Askeddaughter"
    assert (await four.field(key, "middleName"))["rule"] == "picked"


async def test_a_teachers_withdrawal_arrives_in_the_sis_once_and_comes_back_as_its_end_date(
    four: Four,
) -> None:
    id_ = four.export.enrollments(homeroom=True)[1]
    row, before = four.export.row("enrollments", id_), four.lms.told_so_far()

    await four.teach("enrollments", id_, status="withdrawn")
    imported = four.sis_imports("enrollments", id_)
    four.export.edit("enrollments", id_, endDate=day(-1))  # what the SIS makes of it in the night
    await four.sis_exports()
    await four.sis_exports()

    assert imported == [
        {
            "action": "update",
            "enrollment_id": id_,
            "student_id": row["userSourcedId"],
            "class_id": row["classSourcedId"],
            "state": "withdrawn",
        }
    ]
    assert four.sis_imports("enrollments", id_) == imported
    there = four.warehouse("enrollments", id_)
    assert (there["state"], there["endDate"]) == ("withdrawn", day(-1))
    assert (await four.field(f"enrollment/{id_}", "state"))["source"] == "lms"
    assert await four.conflicts(f"enrollment/{id_}") == []
    assert four.lms.told(after=before) == []


async def test_a_withdrawal_that_was_taken_back_does_not_return_when_the_sis_takes_it_up_late(
    four: Four,
) -> None:
    id_ = four.export.enrollments(homeroom=True)[2]
    last_day = four.export.row("enrollments", id_)["endDate"]

    await four.teach("enrollments", id_, status="withdrawn")
    await four.teach("enrollments", id_, status="active")
    states = [row["state"] for row in four.sis_imports("enrollments", id_)]
    found = []
    for end in (day(-1), last_day):  # one file in a night
        four.export.edit("enrollments", id_, endDate=end)
        await four.sis_exports()
        found.append(
            (four.lms.record("enrollments", id_)["status"], four.warehouse("enrollments", id_)["state"])
        )

    assert states == ["withdrawn", "active"]
    assert found == [("active", "active")] * 2
    assert await four.conflicts(f"enrollment/{id_}") == []
    assert len(four.sis_imports("enrollments", id_)) == 2


async def test_while_the_term_lasts_the_teacher_decides_and_otherwise_the_office(four: Four) -> None:
    on, over = four.export.enrollments(homeroom=True)[0], four.export.enrollments(homeroom=False)[0]
    before = four.lms.told_so_far()

    await four.teach("enrollments", on, status="inactive")
    await four.teach("enrollments", over, status="inactive")

    assert (four.warehouse("enrollments", on)["state"], four.lms.record("enrollments", on)["status"]) == (
        "inactive",
        "inactive",
    )
    assert (four.warehouse("enrollments", over)["state"], four.lms.record("enrollments", over)["status"]) == (
        "active",
        "active",
    )
    assert (await four.field(f"enrollment/{on}", "state"))["owners"] == ["lms", "sis"]
    assert (await four.field(f"enrollment/{over}", "state"))["owners"] == ["sis"]
    assert [(each.id, each.body["status"]) for each in four.lms.told(after=before)] == [(over, "active")]


async def test_before_its_date_the_lms_is_refused_and_from_then_on_it_decides(
    four: Four, students: Iterator[str]
) -> None:
    id_ = next(students)
    key, file = f"student/{id_}", four.place.config / "entities" / "student.yaml"
    kept = file.read_text()
    at = (datetime.now(UTC) + timedelta(seconds=4)).isoformat()
    owners = f'[{{system: sis, until: "{at}"}}, {{system: lms, from: "{at}"}}]'
    edited(file, (DISPLAY_NAME, f"  preferredGivenName: {{class: directory, owner: {owners}}}"))
    await reloaded(four)

    await four.teach("users", id_, display_name="Before")
    early = four.lms.record("users", id_)["display_name"], await four.field(key, "preferredGivenName")
    async with asyncio.timeout(20):  # the date comes, and is an event as all others
        while (await four.field(key, "preferredGivenName"))["value"] is None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await four.quiet()
    late = four.lms.record("users", id_)["display_name"], await four.field(key, "preferredGivenName")
    await four.teach("users", id_, display_name="After")

    assert (early[0], early[1]["value"], early[1]["owners"]) == (None, None, ["sis"])
    assert [claim["value"] for claim in early[1]["claims"].values()] == ["Before"]
    assert (late[0], late[1]["value"], late[1]["owners"]) == ("Before", "Before", ["lms"])
    assert four.warehouse("students", id_)["preferredGivenName"] == "After"
    spoke = [each for each in await four.audited(key) if each.source in ("lms", "yellowbus")]
    assert [(each.op, each.outcome) for each in spoke] == [
        ("update", "refused"),
        ("date", "accepted"),
        ("update", "accepted"),
    ]
    file.write_text(kept)
    await reloaded(four)


async def reloaded(four: Four) -> None:
    """The router has taken the configuration as it is now, and answers again."""
    before = len(four.router.logged("ready"))
    four.router.signal(signal.SIGHUP)
    await until(lambda: len(four.router.logged("ready")) > before)
    await four.router.answers()
