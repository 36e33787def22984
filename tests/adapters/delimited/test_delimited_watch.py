"""When a set of files is taken, and where it goes."""

from contextlib import aclosing

from delimited_inbox import GOOD, STAFF, STAFF_GOOD, STUDENTS, Inbox

DATED = {"file": "{table}_{date:%Y-%m-%d}.csv"}


async def test_a_set_waits_until_its_last_file_has_settled(inbox: Inbox) -> None:
    inbox.put(GOOD, "students_2026-11-24.csv")
    inbox.on_sleep = [lambda: inbox.put(STAFF_GOOD, "staff_2026-11-24.csv")]
    began_ms = inbox.now_ms

    async with inbox.reading(STUDENTS, STAFF, settle=60, poll=50, **DATED) as reading:
        await reading.open()

        assert reading.tables == ("students", "staff")
        assert inbox.now_ms - began_ms == 150_000
        assert [name for name, why in inbox.waiting if why] == ["set-2026-11-24"] * 2


async def test_a_marker_says_that_it_is_whole(inbox: Inbox) -> None:
    inbox.put()
    (inbox.folder / "students.csv.done").touch()

    async with inbox.reading(settle=3600) as reading:
        await reading.open()
        await reading.accept()

    assert inbox.names() == ["done"]
    assert inbox.names("done") == ["students.csv"]


async def test_sets_are_read_one_after_the_other_the_oldest_first(inbox: Inbox) -> None:
    for day in (24, 23):
        inbox.put(GOOD, f"students_2026-11-{day}.csv")
        inbox.put(STAFF_GOOD, f"staff_2026-11-{day}.csv")
    inbox.put(GOOD, "students_november.csv")
    names = []

    async with aclosing(inbox.source(STUDENTS, STAFF, **DATED).read()) as readings:
        for _ in range(2):
            reading = await anext(readings)
            await reading.open()
            names.append(reading.name)
            await reading.accept()

    assert names == ["set-2026-11-24", "set-2026-11-23"]
    assert inbox.names() == ["done", "students_november.csv"]
    assert inbox.names("done/set-2026-11-23") == ["staff_2026-11-23.csv", "students_2026-11-23.csv"]


async def test_a_refused_set_goes_aside_with_its_report(inbox: Inbox) -> None:
    inbox.put(GOOD, "students_2026-11-24.csv")

    async with inbox.reading(STUDENTS, STAFF, **DATED) as reading:
        await reading.refuse("no staff")
        await reading.refuse("no staff")

    assert inbox.names() == ["refused"]
    assert inbox.names("refused") == ["set-2026-11-24", "set-2026-11-24.report.txt"]
    assert (inbox.folder / "refused" / "set-2026-11-24.report.txt").read_text() == "no staff"


async def test_a_folder_with_the_name_of_a_file_is_none(inbox: Inbox) -> None:
    (inbox.folder / "students_2026-11-24.csv").mkdir()
    inbox.put(GOOD, "students_2026-11-25.csv")

    async with inbox.reading(**DATED) as reading:
        assert reading.name == "students_2026-11-25.csv"
