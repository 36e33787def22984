"""What a destination of files holds, writes and answers."""

import asyncio
import csv
import io
import os
import sqlite3
import time
import tracemalloc
import zipfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from oneroster_inbox import Inbox, rows
from pydantic import ValidationError

from adapters.oneroster_csv import Destination, DestinationSettings
from adapters.oneroster_csv.tables import TABLES
from bus.adapter import Delivery, EntityShape, Receipt, Surroundings
from bus.errors import ConfigError, Unavailable
from bus.messages import Op, Outcome, Value, Version

DAY_MS = 24 * 3_600_000
ORG: dict[str, Value] = {"name": "Elm", "type": "school"}
PERSON: dict[str, Value] = {
    "enabledUser": True,
    "orgSourcedIds": ("o1", "o2"),
    "role": "student",
    "username": "u1",
    "givenName": "Tam",
    "familyName": "Elmwick",
    "email": None,
}


def org(id_: str, seq: int = 1, op: Op = Op.UPDATE, **fields: Value) -> Delivery:
    return deliver("orgs", id_, seq, op, {**ORG, **fields})


def deliver(
    table: str, id_: str, seq: int, op: Op, fields: Mapping[str, Value], *, deactivate: bool = False
) -> Delivery:
    return Delivery(f"x/{id_}", id_, "x", table, op, deactivate, Version(1, seq), "", fields)


def outcomes(receipts: object) -> list[Outcome]:
    assert isinstance(receipts, list)
    return [receipt.outcome for receipt in receipts]


@dataclass
class Outbox:
    """A folder that a destination writes to."""

    root: Path
    now_ms: int = 1_800_000_000_000

    @property
    def folder(self) -> Path:
        return self.root / "out"

    def destination(self, *entities: EntityShape, **settings: object) -> Destination:
        around = Surroundings(
            system="lms",
            state=self.root / "state",
            now_ms=lambda: self.now_ms,
            sleep=asyncio.sleep,
            entities=entities,
        )
        return Destination(DestinationSettings.model_validate({"folder": self.folder, **settings}), around)

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def last(self, table: str) -> list[dict[str, str]]:
        """The rows of a table in the newest file."""
        with zipfile.ZipFile(self.folder / self.files()[-1]) as archive:
            text = io.TextIOWrapper(archive.open(f"{table}.csv"), "utf-8", newline="")
            return list(csv.DictReader(text))


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    (tmp_path / "out").mkdir()
    return Outbox(tmp_path)


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


async def test_removals_beyond_the_limit_are_held_and_the_rest_goes_on(outbox: Outbox) -> None:
    lms = outbox.destination()
    await lms.apply([org(f"o{n}") for n in range(30)])

    receipts = await lms.apply([*(org(f"o{n}", 2, Op.DELETE) for n in range(8)), org("new", 2)])

    assert outcomes(receipts) == [Outcome.HELD] * 8 + [Outcome.DELIVERED]
    assert receipts[0].reason.startswith("are held: orgs would go from 30 to 23 rows (limit 20% in 24 h)")
    assert len(outbox.last("orgs")) == 31
    assert outcomes(await lms.apply([org("o1", 2, Op.DELETE)])) == [Outcome.DELIVERED]
    await lms.close()


@pytest.mark.parametrize("slice_rows", [1, 6, 15])
async def test_no_more_than_the_limit_goes_in_a_day_however_it_is_sliced(
    outbox: Outbox, slice_rows: int
) -> None:
    lms = outbox.destination(keep=2)
    await lms.apply([org(f"o{n:03d}") for n in range(100)])
    outbox.now_ms += 3 * DAY_MS  # nothing was written meanwhile: that file is what stands

    found = []
    for start in range(0, 60, slice_rows):
        outbox.now_ms += DAY_MS // 100
        gone = range(start, start + slice_rows)
        found += outcomes(await lms.apply([org(f"o{n:03d}", 2, Op.DELETE) for n in gone]))
    await lms.close()

    assert found.count(Outcome.DELIVERED) == 20 // slice_rows * slice_rows
    assert set(found) == {Outcome.DELIVERED, Outcome.HELD}
    assert len(outbox.last("orgs")) == 100 - found.count(Outcome.DELIVERED)


async def test_a_day_later_the_rows_of_then_are_the_measure(outbox: Outbox) -> None:
    lms = outbox.destination(keep=1)
    await lms.apply([org(f"o{n:03d}") for n in range(100)])
    await lms.apply([org(f"o{n:03d}", 2, Op.DELETE) for n in range(20)])

    outbox.now_ms += DAY_MS
    same_day = await lms.apply([org("o020", 2, Op.DELETE)])
    outbox.now_ms += 1
    next_day = await lms.apply([org("o020", 2, Op.DELETE)])
    await lms.close()

    assert outcomes(same_day) == [Outcome.HELD]
    assert outcomes(next_day) == [Outcome.DELIVERED]


async def test_only_the_removals_of_the_table_that_shrinks_are_held(outbox: Outbox) -> None:
    lms = outbox.destination()
    people = [deliver("users", f"u{n}", 1, Op.UPDATE, PERSON) for n in range(30)]
    await lms.apply([*(org(f"o{n}") for n in range(30)), *people])

    receipts = await lms.apply(
        [*(org(f"o{n}", 2, Op.DELETE) for n in range(8)), deliver("users", "u1", 2, Op.DELETE, {})]
    )
    await lms.close()

    assert outcomes(receipts) == [Outcome.HELD] * 8 + [Outcome.DELIVERED]


async def test_counts_of_files_are_forgotten_once_they_measure_nothing(outbox: Outbox) -> None:
    lms = outbox.destination(keep=2)
    for number in range(10):
        await lms.apply([org(f"o{number}")])
        outbox.now_ms += DAY_MS // 2
    await lms.close()

    with closing(sqlite3.connect(outbox.root / "state" / "held.sqlite3")) as held:
        kept = held.execute("select seq, name <> '' from files order by seq").fetchall()

    assert kept == [(7, 0), (8, 0), (9, 1), (10, 1)]


async def test_a_state_of_before_files_had_times_is_taken_over(outbox: Outbox) -> None:
    lms = outbox.destination()
    await lms.apply([org(f"o{n}") for n in range(30)])
    await lms.close()
    with closing(sqlite3.connect(outbox.root / "state" / "held.sqlite3")) as held:
        held.execute("alter table files drop column at_ms")

    lms = outbox.destination()
    receipts = await lms.apply([org(f"o{n}", 2, Op.DELETE) for n in range(8)])
    await lms.close()

    assert outcomes(receipts) == [Outcome.HELD] * 8


async def test_held_removals_alone_write_no_file(outbox: Outbox) -> None:
    lms = outbox.destination()
    await lms.apply([org(f"o{n}") for n in range(30)])
    files = outbox.files()

    receipts = await lms.apply([org(f"o{n}", 2, Op.DELETE) for n in range(8)])
    await lms.close()

    assert outcomes(receipts) == [Outcome.HELD] * 8
    assert outbox.files() == files


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


async def test_a_crash_between_the_file_and_the_commit_writes_the_same_again(outbox: Outbox) -> None:
    lms = outbox.destination(filename="{seq}.zip", kind="delta")
    await lms.apply([org("o1")])
    await lms.close()
    state = outbox.root / "state" / "held.sqlite3"
    before = state.read_bytes()
    await _apply_and_close(outbox, [org("o2")])
    first = (outbox.folder / "000002.zip").read_bytes()
    state.write_bytes(before)  # the commit never came to the disk

    receipts = await _apply_and_close(outbox, [org("o2")])

    assert outcomes(receipts) == [Outcome.DELIVERED]
    assert (outbox.folder / "000002.zip").read_bytes() == first


async def _apply_and_close(outbox: Outbox, batch: list[Delivery]) -> object:
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

    with pytest.raises(
        ConfigError, match=r"orgs has no column colour; orgs\.type is required and not mapped"
    ):
        await outbox.destination(shape).check()
    with pytest.raises(ConfigError, match='"org" is no table'):
        await outbox.destination(shape._replace(table="org")).check()
    await outbox.destination(shape._replace(fields=(("name", "text"), ("type", "text")))).check()


@pytest.mark.parametrize("name", ["{month}.zip", "a/b.zip", "x.csv", ".hidden.zip"])
def test_a_wrong_file_name_is_a_wrong_setting(name: str) -> None:
    with pytest.raises(ValidationError):
        DestinationSettings(folder=Path(), filename=name)
    with pytest.raises(ValidationError, match=r"needs \{seq\}"):
        DestinationSettings(folder=Path(), kind="delta", filename="{date}.zip")


async def test_a_large_batch_is_quick_and_small_in_memory(outbox: Outbox) -> None:
    lms = outbox.destination()
    batch = [deliver("users", str(n), 1, Op.UPDATE, {**PERSON, "username": f"u{n}"}) for n in range(20_000)]

    began = time.perf_counter()
    receipts = await lms.apply(batch)
    took_s = time.perf_counter() - began
    tracemalloc.start()
    await lms.apply([deliver("users", "1", 2, Op.UPDATE, {**PERSON, "username": "x"})])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    await lms.close()

    assert set(outcomes(receipts)) == {Outcome.DELIVERED}
    assert took_s < 4  # about 0.6 s on an idle core
    assert peak < 8_000_000  # all 20,000 rows went through it


def test_batches_may_be_large() -> None:
    assert Destination.batch_records_max >= 50_000
    assert os.sep not in DestinationSettings(folder=Path()).filename
