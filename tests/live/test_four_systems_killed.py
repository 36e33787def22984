"""LMS and router are killed in the middle of their talk: nothing is lost, and nothing is there twice."""

import sqlite3
from pathlib import Path

from four_systems import four_systems
from running import check_conservation, drop, flowed, streams, until

from bus.messages import Op, Outcome
from console.client import client


async def test_killed_while_they_talk_nothing_is_lost_and_nothing_is_there_twice(tmp_path: Path) -> None:
    with four_systems(tmp_path, students=40) as four:
        await four.lms.start()
        await four.router.start()

        # The LMS is killed while it is written to: all of it is there in the end.
        drop(four.place, four.export.written())
        await until(lambda: four.lms.told_so_far() > 20)
        four.lms.kill()
        written = four.lms.told_so_far()
        await four.lms.start()
        async with client(four.place.where) as bus:
            await flowed(bus, 0)
        await four.polled()  # each account is known as a student's
        enrolled = {row["sourcedId"] for row in four.export.tables["enrollments"]}
        people = {row["sourcedId"] for row in four.export.tables["users"]}
        assert written < len(enrolled) + len(people)
        assert set(four.lms.records("enrollments")) == enrolled
        assert set(four.lms.records("users")) == people

        # The router is killed when it has taken a webhook, and the warehouse has not heard of it yet.
        first, second, third = four.export.enrollments(homeroom=True)[:3]
        before = await streams(four.place)
        told = four.lms.told_so_far()
        in_the_way = sqlite3.connect(four.place.state / "warehouse.db", isolation_level=None)
        in_the_way.execute("BEGIN IMMEDIATE")
        await four.lms.teach("enrollments", first, status="withdrawn")
        await until(lambda: four.lms.answers() == [202])
        four.router.kill()
        in_the_way.execute("ROLLBACK")
        in_the_way.close()
        assert four.warehouse("enrollments", first)["state"] == "active"

        # While it is away teachers go on, and the LMS is killed with what it has to say.
        await four.lms.teach("enrollments", second, status="withdrawn")
        four.lms.kill()
        await four.lms.start()
        await four.lms.teach("enrollments", third, status="withdrawn")
        await four.router.start()
        await until(lambda: four.lms.answers() == [202, 202, 202])
        await four.quiet()
        after = await streams(four.place)

        for id_ in (first, second, third):
            assert four.warehouse("enrollments", id_)["state"] == "withdrawn"
            settled = [(each.op, each.outcome) for each in await four.audited(f"enrollment/{id_}")]
            assert settled == [(Op.CREATE, Outcome.ACCEPTED), (Op.UPDATE, Outcome.ACCEPTED)]
        assert (after.events, after.changes) == (before.events + 3, before.changes + 3)
        check_conservation(after)
        assert four.lms.told(after=told) == []
