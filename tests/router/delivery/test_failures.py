"""A record whose delivery failed is counted and explained until another delivery of it ends otherwise."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from running import Place, lay_out, router_here, sampled, through
from simulation.by_hand import empty_town, event, say
from simulation.clock import START_MS
from simulation.invariants import broken
from simulation.world import Town

from bus.codec import encode_audit, encode_change
from bus.jetstream import JetStream
from bus.messages import AuditRecord, Change, Event, Op, Outcome, Record, Step
from bus.port import Message
from console.cli import main
from console.cli.render import counted
from router.config import load
from router.database import Sqlite
from router.rebuild import Rebuild
from router.store import QUERIES

ADA = {"name": "Ada", "grade": "9"}
FAILED = [("lms", "student/1", 1, 1, "422")]
SQL = "SELECT destination, key, f.rev, attempts, reason FROM failure f JOIN record r ON r.id = f.record"


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        town.loop.pass_time(3600)
        town.fars["lms"].hates = frozenset({"student/1"})
        say(town, student("1"), student("2"))
        assert town.live()
        yield town
        assert broken(town, by_script=False) == []


def student(id_: str, at: int = 0, op: Op = Op.UPDATE, **fields: str) -> Event:
    return event(id_, op=op, at_ms=START_MS + at, **({} if op is Op.DELETE else {**ADA, **fields}))


def listed(town: Town) -> list[tuple[Any, ...]]:
    return town.disk.rows("index.sqlite", SQL)


def test_it_is_listed_with_its_reason_and_the_others_are_not(town: Town) -> None:
    assert listed(town) == FAILED


def test_it_stays_listed_over_a_restart(town: Town) -> None:
    say(town, student("2", 1, name="Bea"))

    assert town.live()
    assert listed(town) == FAILED


def test_a_later_delivery_takes_it_off_the_list_also_after_a_restart(town: Town) -> None:
    town.fars["lms"].hates = frozenset()
    say(town, student("1", 1, name="Bea"))

    assert town.live()
    assert listed(town) == []


def test_one_that_fails_again_is_listed_once_as_it_failed_last(town: Town) -> None:
    say(town, student("1", 1, name="Bea"))

    assert town.live()
    assert listed(town) == [("lms", "student/1", 2, 1, "422")]


def test_one_that_is_gone_at_its_source_is_lacked_no_more(town: Town) -> None:
    town.fars["lms"].hates = frozenset()
    say(town, student("1", 1, Op.DELETE))

    assert town.live()
    assert listed(town) == []


DELIVERY, PUT = Step.DELIVERY, Step.PUT
FAIL, DONE = Outcome.FAILED, Outcome.DELIVERED


@pytest.mark.parametrize(
    ("settled", "reasons"),
    [
        ([(DELIVERY, FAIL, 1, 10)], ["10"]),
        ([(DELIVERY, FAIL, 1, 10), (DELIVERY, DONE, 2, 20)], []),
        ([(DELIVERY, FAIL, 1, 10), (PUT, DONE, 1, 20)], []),
        ([(PUT, FAIL, 1, 10), (DELIVERY, DONE, 2, 20)], []),
        ([(DELIVERY, DONE, 1, 10), (PUT, FAIL, 1, 20)], ["20"]),
        ([(DELIVERY, FAIL, 1, 10), (PUT, FAIL, 1, 20)], ["20"]),
        ([(DELIVERY, FAIL, 1, 10), (PUT, DONE, 1, 20), (DELIVERY, FAIL, 2, 30)], ["30"]),
    ],
)
async def test_rebuild_lists_what_nothing_has_settled_since(
    bus: JetStream, tmp_path: Path, settled: list[tuple[Step, Outcome, int, int]], reasons: list[str]
) -> None:
    record = Record("org/1", "org", 2, 0, False, (), 1, {"name": "Elm"}, {}, {"sis": "1"}, {})
    change = Change(record, Op.CREATE, "e1", "sis", Outcome.ACCEPTED, (), 0, 0)
    event_told = AuditRecord("event/1", Step.EVENT, Outcome.ACCEPTED, 0, "sis", seq=1)
    await bus.publish("EVENTS", [Message("event.sis.org.create", b"x")])
    await bus.publish("AUDIT", [Message("audit.event.accepted.sis.org", encode_audit([event_told]))])
    await bus.publish("CHANGES", [Message("change.org.1", encode_change(change))])
    for number, (step, outcome, rev, at_ms) in enumerate(settled):
        audited = AuditRecord(
            f"{number}", step, outcome, at_ms, "sis", "warehouse", "org", "org/1",
            reason=f"{at_ms}", attempt=3, rev=rev, rev_from=rev,
        )  # fmt: skip
        subject = f"audit.{step}.{outcome}.sis.org"
        await bus.publish("AUDIT", [Message(subject, encode_audit([audited]), f"a{number}")])
    async with Sqlite.open(tmp_path / "new.sqlite", QUERIES["schema"]) as database:
        await Rebuild(bus, database, load(*lay_out(tmp_path)[:2]), 1, 0).run()
        found = database.read(SQL)

    assert [row[-1] for row in found] == reasons
    assert all(row[:2] == ("warehouse", "org/1") and row[3] == 3 for row in found)


async def test_status_and_explain_say_it_also_of_an_earlier_life(tmp_path: Path) -> None:
    place = lay_out(tmp_path)
    async with router_here(place):
        await through(place, sampled(tmp_path, students=12))
        with sqlite3.connect(place.state / "warehouse.db") as warehouse:
            warehouse.execute(
                "CREATE TRIGGER full BEFORE UPDATE ON students BEGIN SELECT RAISE(ABORT, 'no more'); END"
            )
        warehouse.close()
        await through(place, sampled(tmp_path, students=12, day=2))
    async with router_here(place):
        status = await asyncio.to_thread(asked, place, "status")
        [(_, key, rev, *_), *more] = failures_in(place.state / "index.sqlite")
        explained = await asyncio.to_thread(asked, place, "explain", key)

    assert status.exit_code == 1
    assert f"{counted(1 + len(more), 'record')} in the dead letters" in status.output
    assert f"failed at rev {rev} (" in explained.output and "no more" in explained.output


def asked(place: Place, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--state", str(place.state)], env={"COLUMNS": "200"})


def failures_in(index: Path) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(index)) as connection:
        return connection.execute(SQL).fetchall()
