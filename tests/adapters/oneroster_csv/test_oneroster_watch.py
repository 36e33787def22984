"""When a package is taken, and where it goes."""

import asyncio
import json
import os
from contextlib import aclosing
from pathlib import Path

import pytest
from folders import rows
from oneroster_inbox import ORGS, USERS, Inbox, ids, package, user

from bus.errors import ConfigError, Unavailable

GOOD = package({"users": USERS + user("1")})
LOOSE = {"users.csv": USERS + user("1"), "orgs.csv": ORGS + "o1,,,Elm,school,,\r\n"}


async def test_a_growing_file_waits_and_is_read_once_it_is_whole(inbox: Inbox) -> None:
    path = inbox.put(GOOD)
    whole = path.read_bytes()
    path.write_bytes(whole[:40])
    inbox.on_sleep = [lambda: path.write_bytes(whole[:90]), lambda: path.write_bytes(whole)]
    began_ms = inbox.now_ms

    async with inbox.reading(settle=60, poll=5) as reading:
        await reading.open()

        assert ids(await rows(reading, "users")) == ["1"]
        assert inbox.now_ms - began_ms == 70_000  # 5 and 5 while it grew, then 60
        assert [name for name, _ in inbox.waiting] == ["export.zip"] * 4
        assert "still being written" in inbox.waiting[1][1]
        assert inbox.waiting[3] == ("export.zip", "")


async def test_what_is_gone_or_taken_waits_no_more_and_is_said_once(inbox: Inbox) -> None:
    gone = inbox.put(GOOD, "gone.zip")
    inbox.put(GOOD, "taken.zip")
    inbox.on_sleep = [gone.unlink]

    async with inbox.reading(settle=60, poll=30) as reading:
        assert reading.name == "taken.zip"

        said = [(name, bool(why)) for name, why in inbox.waiting]
        assert said == [("gone.zip", True), ("taken.zip", True), ("gone.zip", False), ("taken.zip", False)]


async def test_what_was_never_said_to_wait_is_not_taken_off(inbox: Inbox) -> None:
    inbox.put(GOOD)

    async with inbox.reading(settle=0):
        assert inbox.waiting == []


async def test_a_file_that_keeps_its_size_but_is_written_again_waits_anew(inbox: Inbox) -> None:
    path = inbox.put(GOOD)
    inbox.on_sleep = [lambda: os.utime(path, ns=(1, 1))]
    began_ms = inbox.now_ms

    async with inbox.reading(settle=60, poll=50):
        assert inbox.now_ms - began_ms == 150_000


@pytest.mark.parametrize("marker", ["export.zip.done", "export.zip.ready"])
async def test_a_marker_says_that_it_is_whole_and_goes_with_it(inbox: Inbox, marker: str) -> None:
    inbox.put(GOOD)
    (inbox.folder / marker).touch()
    began_ms = inbox.now_ms

    async with inbox.reading(settle=3600) as reading:
        await reading.open()
        await reading.accept()

        assert inbox.now_ms == began_ms
        assert inbox.names() == ["done"]


async def test_packages_come_oldest_first_each_once(inbox: Inbox) -> None:
    for hour, name in enumerate(["c.zip", "a.zip", "b.zip"]):
        os.utime(inbox.put(GOOD, name), (hour, hour))
    names = []

    async with asyncio.timeout(20), aclosing(inbox.source().read()) as readings:
        async for reading in readings:
            names.append((reading.name, reading.observed_at_ms))
            await reading.accept()
            if len(names) == 3:
                break

    assert names == [("c.zip", 0), ("a.zip", 3_600_000 // 3_600), ("b.zip", 2_000)]


@pytest.mark.parametrize("under", ["", "monday"])
async def test_loose_files_are_one_package(inbox: Inbox, under: str) -> None:
    inbox.loose(LOOSE, under)

    async with inbox.reading() as reading:
        await reading.open()

        assert (reading.full, reading.tables) == (True, ("orgs", "users"))
        assert ids(await rows(reading, "users")) == ["1"]
        assert reading.warnings == ("manifest.csv: it is not there: the files are read as bulk",)
        await reading.accept()
        await reading.accept()
        assert inbox.names() == ["done"]
        assert inbox.names(f"done/{under or 'loose-csv'}") == ["orgs.csv", "users.csv"]


async def test_the_hash_of_loose_files_is_that_of_their_names_and_content(inbox: Inbox) -> None:
    hashes = []
    for under, files in (("a", LOOSE), ("b", LOOSE), ("c", {**LOOSE, "users.csv": USERS + user("2")})):
        inbox.loose(files, under)
        async with inbox.reading() as reading:
            hashes.append(reading.sha256)
            await reading.open()
            await reading.accept()

    assert hashes[0] == hashes[1] != hashes[2]


async def test_a_refused_package_lies_beside_its_report(inbox: Inbox) -> None:
    inbox.put(GOOD)

    async with inbox.reading() as reading:
        await reading.refuse("users.csv:3:1: no\n")
        await reading.refuse("users.csv:3:1: no\n")

        assert inbox.names() == ["refused"]
        assert inbox.names("refused") == ["export.zip", "export.zip.report.txt"]
        assert (inbox.folder / "refused/export.zip.report.txt").read_text() == "users.csv:3:1: no\n"


async def test_the_same_name_again_gets_the_time(inbox: Inbox) -> None:
    for _ in range(3):
        inbox.put(GOOD)
        async with inbox.reading() as reading:
            await reading.accept()

    assert inbox.names("done") == [
        "export-20270115T080000Z-2.zip",
        "export-20270115T080000Z.zip",
        "export.zip",
    ]


async def test_only_the_last_packages_are_kept(inbox: Inbox) -> None:
    for number in range(4):
        inbox.put(GOOD, f"{number}.zip")
        async with inbox.reading(keep=2) as reading:
            await reading.refuse("no")

    assert inbox.names("refused") == ["2.zip", "2.zip.report.txt", "3.zip", "3.zip.report.txt"]


async def test_a_package_that_was_replaced_while_it_was_read_stays_to_be_read(inbox: Inbox) -> None:
    inbox.put(GOOD)

    async with inbox.reading() as reading:
        await reading.open()
        inbox.put(package({"users": USERS + user("2") + user("3")}, kind="bulk"), "next.part")
        (inbox.folder / "next.part").rename(inbox.folder / "export.zip")
        found = await rows(reading, "users")
        await reading.accept()

    assert ids(found) == ["1"]
    assert inbox.names() == ["done", "export.zip"]
    assert inbox.names("done") == []


async def test_a_loose_file_that_changes_while_it_is_read_is_refused_and_left(inbox: Inbox) -> None:
    inbox.loose(LOOSE)

    async with inbox.reading() as reading:
        await reading.open()
        inbox.loose({"users.csv": USERS + user("1") + user("2")})
        with pytest.raises(Exception, match="changed while it was read"):
            await rows(reading, "users")
        await reading.refuse("changed")

    assert inbox.names() == ["orgs.csv", "refused", "users.csv"]


async def test_moves_that_a_crash_cut_short_are_ended_at_the_next_start(inbox: Inbox) -> None:
    inbox.loose(LOOSE)
    moved = inbox.folder / "done" / "loose-csv"
    moved.mkdir(parents=True)
    pairs = [[str(inbox.folder / name), str(moved / name)] for name in LOOSE]
    (inbox.root / "state").mkdir()
    (inbox.root / "state" / "moving.json").write_text(json.dumps(pairs))
    (inbox.folder / "orgs.csv").rename(moved / "orgs.csv")  # the crash came here
    inbox.put(GOOD)

    async with inbox.reading() as reading:
        assert reading.name == "export.zip"
        assert inbox.names("done/loose-csv") == ["orgs.csv", "users.csv"]


async def test_a_folder_that_is_not_there_is_unavailable_and_a_file_a_wrong_setting(inbox: Inbox) -> None:
    (inbox.root / "file").touch()

    with pytest.raises(Unavailable, match="is not there"):
        await inbox.source(folder=inbox.root / "gone").check()
    with pytest.raises(ConfigError, match="expected a folder"):
        await inbox.source(folder=inbox.root / "file").check()
    await inbox.source().check()


def test_files_that_are_not_of_oneroster_are_no_package(inbox: Inbox, tmp_path: Path) -> None:
    from adapters.oneroster_csv.candidates import candidates

    (inbox.folder / "notes.csv").touch()
    (inbox.folder / "export.zip.part").touch()
    (inbox.folder / "empty").mkdir()

    assert list(candidates(inbox.folder)) == []
