"""What a destination of files holds, writes and answers."""

import os
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest
from folders import deliver, outcomes, rows
from oneroster_inbox import Inbox
from oneroster_outbox import ORG, PERSON, Outbox, org
from pydantic import ValidationError

from adapters.oneroster_csv import Destination, DestinationSettings
from adapters.oneroster_csv.tables import TABLES
from bus.adapter import Delivery, EntityShape, Receipt
from bus.errors import ConfigError, Unavailable
from bus.messages import Op, Outcome, Value, Version


async def test_a_delivered_record_is_in_the_file_in_the_order_of_the_standard(outbox: Outbox) -> None:
    lms = outbox.destination()

    receipts = await lms.apply([deliver("users", "1", 1, Op.UPDATE, PERSON), org("o1")])
    await lms.close()

    assert receipts == [
        Receipt("x/1", Outcome.DELIVERED, "", "1"),
        Receipt("x/o1", Outcome.DELIVERED, "", "o1"),
    ]
    assert outbox.files() == ["oneroster-20270115-080000-000001.zip"]
    (found,) = outbox.last("users")
    assert tuple(found) == TABLES["1.1"]["users"].columns
    assert {name: value for name, value in found.items() if value} == {
        "sourcedId": "1",
        "enabledUser": "true",
        "orgSourcedIds": "o1,o2",
        "role": "student",
        "username": "u1",
        "givenName": "Tam",
        "familyName": "Elmwick",
    }


async def test_what_it_writes_our_source_reads_without_a_warning(outbox: Outbox, inbox: Inbox) -> None:
    lms = outbox.destination()
    odd = 'Elm, "the\r\nold" 🐝'

    await lms.apply([org("o1", name=odd), org("o2")])
    await lms.close()
    (outbox.folder / outbox.files()[0]).rename(inbox.folder / "export.zip")
    async with inbox.reading() as reading:
        await reading.open()
        found = await rows(reading, "orgs")

        assert [row.values["name"] for row in found] == [odd, "Elm"]
        assert (reading.full, reading.warnings) == (True, ())


async def test_the_same_batch_again_is_unchanged_and_writes_no_file(outbox: Outbox) -> None:
    lms = outbox.destination()
    batch = [org("o1"), org("o2")]

    first, second = await lms.apply(batch), await lms.apply(batch)
    await lms.close()
    again = outbox.destination()
    third = await again.apply([one._replace(version=Version(1, 9)) for one in batch])
    await again.close()

    assert outcomes(first) == [Outcome.DELIVERED] * 2
    assert outcomes(second) == outcomes(third) == [Outcome.UNCHANGED] * 2
    assert len(outbox.files()) == 1


async def test_an_older_version_is_superseded_also_after_unchanged_and_delete(outbox: Outbox) -> None:
    lms = outbox.destination()
    await lms.apply([org("o1", 5), org("o2", 5)])
    await lms.apply([org("o1", 8), org("o2", 8, Op.DELETE)])

    receipts = await lms.apply([org("o1", 7, name="Old"), org("o2", 7)])
    await lms.close()

    assert outcomes(receipts) == [Outcome.SUPERSEDED] * 2
    assert [found["sourcedId"] for found in outbox.last("orgs")] == ["o1"]


async def test_a_higher_epoch_is_newer_whatever_its_sequence(outbox: Outbox) -> None:
    lms = outbox.destination()
    await lms.apply([org("o1", 500)])

    receipts = await lms.apply([org("o1", name="Oak")._replace(version=Version(2, 3))])
    await lms.close()

    assert outcomes(receipts) == [Outcome.DELIVERED]


async def test_a_deleted_record_is_gone_and_deleting_it_again_changes_nothing(outbox: Outbox) -> None:
    lms = outbox.destination()
    await lms.apply([org("o1"), org("o2")])

    first = await lms.apply([org("o1", 2, Op.DELETE)])
    second = await lms.apply([org("o1", 2, Op.DELETE), org("never", 2, Op.DELETE)])
    await lms.close()

    assert outcomes(first) == [Outcome.DELIVERED]
    assert outcomes(second) == [Outcome.UNCHANGED] * 2
    assert [found["sourcedId"] for found in outbox.last("orgs")] == ["o2"]
    assert len(outbox.files()) == 2


async def test_deactivating_switches_a_user_off_and_nothing_else(outbox: Outbox) -> None:
    lms = outbox.destination()
    await lms.apply([deliver("users", "1", 1, Op.UPDATE, PERSON), org("o1")])

    receipts = await lms.apply(
        [
            deliver("users", "1", 2, Op.DELETE, {}, deactivate=True),
            deliver("users", "2", 2, Op.DELETE, {}, deactivate=True),
            deliver("orgs", "o1", 2, Op.DELETE, {}, deactivate=True),
        ]
    )
    await lms.close()

    assert outcomes(receipts) == [Outcome.DELIVERED, Outcome.UNCHANGED, Outcome.FAILED]
    (found,) = outbox.last("users")
    assert (found["enabledUser"], found["givenName"]) == ("false", "Tam")


BAD: dict[str, tuple[str, dict[str, Value], str]] = {
    "no such column": ("orgs", {**ORG, "colour": "red"}, "orgs has no column colour"),
    "no such table": ("roles", {}, '"roles" is no table of OneRoster 1.1'),
    "blank": ("orgs", {**ORG, "name": None}, "orgs: blank, but required: name"),
    "comma in an item": (
        "users",
        {**PERSON, "orgSourcedIds": ("a,b",)},
        "orgSourcedIds: an item has a comma",
    ),
    "NUL": ("orgs", {**ORG, "name": "E\0m"}, "name: a character that no file"),
    "half a character": ("orgs", {**ORG, "name": "E\ud800m"}, "name: a character that no file"),
}


@pytest.mark.parametrize("fault", BAD)
async def test_a_record_that_cannot_stand_in_the_file_fails_alone(outbox: Outbox, fault: str) -> None:
    table, fields, reason = BAD[fault]
    lms = outbox.destination()

    bad, good = await lms.apply([deliver(table, "1", 1, Op.UPDATE, fields), org("o1")])
    await lms.close()

    assert (bad.outcome, good.outcome) == (Outcome.FAILED, Outcome.DELIVERED)
    assert bad.reason.startswith(reason)
    assert [found["sourcedId"] for found in outbox.last("orgs")] == ["o1"]


async def test_a_crash_before_the_file_is_in_place_leaves_it_all_to_be_repeated(outbox: Outbox) -> None:
    lms = outbox.destination(filename="{seq}.zip")
    await lms.apply([org("o1")])
    blocked = outbox.folder / "000002.zip"
    blocked.mkdir()

    with pytest.raises(Unavailable):
        await lms.apply([org("o2")])
    blocked.rmdir()
    receipts = await lms.apply([org("o2")])
    await lms.close()

    assert outcomes(receipts) == [Outcome.DELIVERED]
    assert outbox.files() == ["000001.zip", "000002.zip"]
    assert len(outbox.last("orgs")) == 2


async def test_a_delta_is_never_written_over_another_file(outbox: Outbox) -> None:
    (outbox.folder / "000001.zip").write_text("somebody's")

    receipts = await _apply_and_close(outbox, [org("o1")])

    assert outcomes(receipts) == [Outcome.DELIVERED]
    assert outbox.files() == ["000001.zip", "000002.zip"]
    assert (outbox.folder / "000001.zip").read_text() == "somebody's"


async def _apply_and_close(outbox: Outbox, batch: list[Delivery]) -> Sequence[Receipt]:
    lms = outbox.destination(filename="{seq}.zip", kind="delta")
    receipts = await lms.apply(batch)
    await lms.close()
    return receipts


async def test_half_a_file_of_a_killed_run_is_removed(outbox: Outbox) -> None:
    (outbox.folder / "oneroster-20270101-000000-000007.zip.part").touch()
    (outbox.folder / "other.zip.part").touch()

    await _apply_and_close_default(outbox)

    assert outbox.files() == ["oneroster-20270115-080000-000001.zip", "other.zip.part"]


async def _apply_and_close_default(outbox: Outbox) -> None:
    lms = outbox.destination()
    await lms.apply([org("o1")])
    await lms.close()
    await lms.close()


async def test_a_delta_has_only_what_changed_with_status_and_time(outbox: Outbox) -> None:
    lms = outbox.destination(kind="delta")
    await lms.apply([org("o1"), org("o2"), org("o3")])

    await lms.apply([org("o1", 2, name="Oak"), org("o2", 2, Op.DELETE), org("o3", 2)])
    await lms.close()

    found = [(row["sourcedId"], row["status"], row["name"]) for row in outbox.last("orgs")]
    assert found == [("o1", "active", "Oak"), ("o2", "tobedeleted", "Elm")]
    assert {row["dateLastModified"] for row in outbox.last("orgs")} == {"2027-01-15T08:00:00.000Z"}


async def test_1_2_has_role_and_schools_in_roles_csv(outbox: Outbox, inbox: Inbox) -> None:
    lms = outbox.destination(version="1.2")
    await lms.apply([deliver("users", "1", 1, Op.UPDATE, PERSON)])
    await lms.close()

    roles = [
        (row["userSourcedId"], row["roleType"], row["role"], row["orgSourcedId"])
        for row in outbox.last("roles")
    ]
    assert roles == [("1", "primary", "student", "o1"), ("1", "secondary", "student", "o2")]
    assert "role" not in outbox.last("users")[0]
    (outbox.folder / outbox.files()[0]).rename(inbox.folder / "export.zip")
    async with inbox.reading() as reading:
        await reading.open()
        (found,) = await rows(reading, "users")
        assert (found.values["role"], found.values["orgSourcedIds"]) == ("student", "o1,o2")


async def test_a_1_2_delta_takes_a_school_away(outbox: Outbox) -> None:
    lms = outbox.destination(version="1.2", kind="delta")
    await lms.apply([deliver("users", "1", 1, Op.UPDATE, PERSON)])

    await lms.apply([deliver("users", "1", 2, Op.UPDATE, {**PERSON, "orgSourcedIds": ("o1",)})])
    await lms.close()

    assert [(row["orgSourcedId"], row["status"]) for row in outbox.last("roles")] == [("o2", "tobedeleted")]


async def test_only_the_last_files_are_kept_and_nobody_elses_are_touched(outbox: Outbox) -> None:
    (outbox.folder / "aaa.zip").touch()
    lms = outbox.destination(keep=2, filename="{seq}.zip")

    for number in range(4):
        await lms.apply([org(f"o{number}")])
    await lms.close()

    assert outbox.files() == ["000003.zip", "000004.zip", "aaa.zip"]


async def test_a_fixed_name_is_overwritten(outbox: Outbox) -> None:
    lms = outbox.destination(filename="now.zip", keep=1)

    for number in range(3):
        await lms.apply([org(f"o{number}")])
    await lms.close()

    assert outbox.files() == ["now.zip"]
    assert len(outbox.last("orgs")) == 3


async def test_a_folder_that_is_gone_is_unavailable_and_nothing_is_lost(outbox: Outbox) -> None:
    lms = outbox.destination()
    outbox.folder.rmdir()

    with pytest.raises(Unavailable):
        await lms.apply([org("o1")])
    outbox.folder.mkdir()
    receipts = await lms.apply([org("o1")])
    await lms.close()

    assert outcomes(receipts) == [Outcome.DELIVERED]


async def test_check_names_every_column_that_is_missing_or_unknown(outbox: Outbox) -> None:
    shape = EntityShape("school", "orgs", "sourcedId", (("name", "text"), ("colour", "text")))

    with pytest.raises(ConfigError, match=r'"colour" is no column of orgs; "type" is missing: orgs requires'):
        await outbox.destination(shape).check()
    with pytest.raises(ConfigError, match='"org" is no table'):
        await outbox.destination(shape._replace(table="org")).check()
    sound = shape._replace(fields=(("name", "text"), ("type", "text")))
    with pytest.raises(ConfigError, match="orgs has no enabledUser: its records cannot be switched off"):
        await outbox.destination(sound._replace(switches_off=True)).check()
    await outbox.destination(sound).check()


@pytest.mark.parametrize("name", ["{month}.zip", "a/b.zip", "x.csv", ".hidden.zip"])
def test_a_wrong_file_name_is_a_wrong_setting(name: str) -> None:
    with pytest.raises(ValidationError):
        DestinationSettings(folder=Path(), filename=name)
    with pytest.raises(ValidationError, match=r"needs \{seq\}"):
        DestinationSettings(folder=Path(), kind="delta", filename="{date}.zip")


async def test_after_a_large_batch_a_small_one_is_small_in_memory(outbox: Outbox) -> None:
    lms = outbox.destination()
    batch = [deliver("users", str(n), 1, Op.UPDATE, {**PERSON, "username": f"u{n}"}) for n in range(20_000)]

    receipts = await lms.apply(batch)
    tracemalloc.start()
    await lms.apply([deliver("users", "1", 2, Op.UPDATE, {**PERSON, "username": "x"})])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    await lms.close()

    assert set(outcomes(receipts)) == {Outcome.DELIVERED}
    assert peak < 8_000_000  # all 20,000 rows went through it


def test_batches_may_be_large() -> None:
    assert Destination.batch_records_max >= 50_000
    assert os.sep not in DestinationSettings(folder=Path()).filename
