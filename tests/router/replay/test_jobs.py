"""A window once more to one destination: which records, each once, as it is now, and never back in time."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from simulation.by_hand import empty_town, event, say
from simulation.invariants import audited, broken
from simulation.world import Town

from bus.codec import unpack
from bus.errors import BusError
from bus.messages import AuditRecord, Event, Op, Outcome, Record, Step
from router.core.delivery import NOTHING_HELD
from router.database import Sqlite
from router.delivery.settled import Claim, Settled, settling
from router.pipeline import Pipeline
from router.services.replay import commands
from router.store import QUERIES, Store

ADA = {"name": "Ada", "grade": "9"}
HOUR_S = 3_600


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        town.loop.pass_time(HOUR_S)
        yield town
        assert not [each for far in town.fars.values() for each in far.violations]


def student(town: Town, id_: str, name: str = "Ada", op: Op = Op.UPDATE) -> Event:
    fields = {} if op is Op.DELETE else {**ADA, "name": name}
    return event(id_, op=op, at_ms=town.loop.now_ms() - 1, **fields)


def happens(town: Town, *events: Event) -> int:
    """These are said, and brought everywhere; then an hour passes. Returns when they were said."""
    at_ms = town.loop.now_ms()
    say(town, *events)
    assert town.live()
    town.loop.pass_time(HOUR_S)
    return at_ms


async def ask(pipeline: Pipeline, town: Town, what: str, **says: Any) -> dict[str, Any]:
    [command] = [each for each in commands(pipeline, town.loop.now_ms) if each.what == f"replay.{what}"]
    found: dict[str, Any] = json.loads(await command.answer("ada", json.dumps(says).encode()))
    return found


def replayed(town: Town, from_ms: int, until_ms: int = 1 << 50, **says: Any) -> dict[str, Any]:
    """A replay to the LMS from its beginning to its end. Returns what its preview said."""
    request = {"system": "lms", "from_ms": from_ms, "until_ms": until_ms, "why": "it was down", **says}
    seen: list[dict[str, Any]] = []

    async def start(pipeline: Pipeline) -> None:
        seen.append(await ask(pipeline, town, "preview", **request))
        await ask(pipeline, town, "start", **request)

    town.acts.append(start)
    assert town.live()
    assert ended(town)
    found: dict[str, Any] = seen[0]["counts"]
    return found


def ended(town: Town) -> bool:
    return not town.disk.rows("index.sqlite", "SELECT 1 FROM job WHERE state IN ('running', 'paused')")


def puts(town: Town, id_: str = "replay.1") -> dict[str, AuditRecord]:
    """By key the put of that job; each is audited once."""
    found = [r for r, *_ in audited(town).values() if r.step is Step.PUT and r.id.endswith(f"/{id_}")]
    assert len(found) == len({each.key for each in found})
    return {each.key: each for each in found}


def sends(town: Town) -> int:
    return sum(town.fars["lms"].sent.values())


def test_a_window_has_what_changed_in_it_and_nothing_from_its_edges(town: Town) -> None:
    happens(town, student(town, "1"))
    second_ms = happens(town, student(town, "2"))
    third_ms = happens(town, student(town, "3"))

    assert replayed(town, second_ms, third_ms)["records"] == 1
    assert list(puts(town)) == ["student/2"]


def test_what_was_delivered_in_a_window_is_in_it_though_it_changed_before(town: Town) -> None:
    town.fars["lms"].down_until_s = town.loop.time() + HOUR_S
    say(town, student(town, "1"))
    town.live(until_quiet=False, stop_after_s=60)
    from_ms = town.loop.now_ms()
    assert town.live()
    happens(town)

    assert replayed(town, from_ms)["records"] == 1
    assert list(puts(town)) == ["student/1"]


def test_what_is_there_already_is_not_sent_again(town: Town) -> None:
    from_ms = happens(town, student(town, "1"), student(town, "2"))
    counts = replayed(town, from_ms)

    assert (counts["there"], counts["send"]) == (2, 0)
    assert sends(town) == 2
    assert {each.outcome for each in puts(town).values()} == {Outcome.UNCHANGED}
    assert broken(town, by_script=False) == []


def test_what_a_restored_backup_lost_is_sent_once_by_force(town: Town) -> None:
    from_ms = happens(town, student(town, "1"), student(town, "2"))
    del town.fars["lms"].records["student/2"]
    counts = replayed(town, from_ms, force=True)

    assert counts["send"] == 2
    assert set(town.fars["lms"].records) == {"student/1", "student/2"}
    assert sends(town) == 4
    assert broken(town, by_script=False) == []


def test_a_record_that_changed_after_the_window_goes_as_it_is_now_and_once(town: Town) -> None:
    from_ms = happens(town, student(town, "1"))
    until_ms = happens(town, student(town, "1", name="Bea"))
    far = town.fars["lms"]
    far.records.clear()
    replayed(town, from_ms, until_ms, force=True)

    assert far.records["student/1"].fields["name"] == "Bea"
    assert sends(town) == 3


def test_what_a_restored_backup_brought_back_is_removed_again_by_force(town: Town) -> None:
    happens(town, student(town, "1"))
    far = town.fars["lms"]
    last_night = dict(far.records)
    from_ms = happens(town, student(town, "1", op=Op.DELETE))
    far.records.update(last_night)
    replayed(town, from_ms, force=True)

    assert "student/1" not in far.records
    assert puts(town)["student/1"].op == Op.DELETE


def test_what_was_never_there_is_not_removed_by_force_either(town: Town) -> None:
    from_ms = town.loop.now_ms()
    happens(town, student(town, "1"), student(town, "1", op=Op.DELETE))
    counts = replayed(town, from_ms, force=True)

    assert (counts["absent"], counts["send"]) == (1, 0)
    assert sends(town) == 0
    assert puts(town)["student/1"].outcome is Outcome.FILTERED


def test_one_entity_or_one_record_alone_may_be_asked_for(town: Town) -> None:
    from_ms = happens(town, student(town, "1"), student(town, "2"))
    entities = replayed(town, from_ms, entities=["student"])
    record = replayed(town, from_ms, record="student/2")

    assert (entities["records"], record["records"]) == (2, 1)
    assert list(puts(town, "replay.2")) == ["student/2"]


def test_a_dead_letter_in_the_window_is_tried_again(town: Town) -> None:
    far = town.fars["lms"]
    far.hates = frozenset({"student/1"})
    from_ms = happens(town, student(town, "1"))
    far.hates = frozenset()

    assert replayed(town, from_ms)["send"] == 1
    assert puts(town)["student/1"].outcome is Outcome.DELIVERED
    assert not town.disk.rows("index.sqlite", "SELECT 1 FROM failure")


def test_who_asked_and_why_and_every_end_stand_in_the_audit(town: Town) -> None:
    from_ms = happens(town, *[student(town, f"{n}") for n in range(1, 21)])
    replayed(town, from_ms, force=True)
    told = [r for r, *_ in audited(town).values() if r.step is Step.REPLAY]

    assert (told[0].id, told[0].outcome, told[0].who) == ("replay.1/started", Outcome.ACCEPTED, "ada")
    assert told[0].reason.endswith("forced: it was down")
    assert any(each.reason == "20 of 20 records put" for each in told)
    assert (told[-1].id, told[-1].reason) == ("replay.1/done", "done: 20 records, 20 unchanged")


def test_a_job_of_a_router_that_crashes_goes_on_and_puts_each_record_once(town: Town) -> None:
    from_ms = happens(town, *[student(town, f"{n}") for n in range(1, 31)])
    request = {"system": "lms", "from_ms": from_ms, "why": "x", "force": True, "rate_per_s": 2}

    async def start(pipeline: Pipeline) -> None:
        await ask(pipeline, town, "start", **request)

    town.acts.append(start)
    for turns in range(400, 4_000, 400):
        town.live(turns=turns)
    while not ended(town):
        town.live(stop_after_s=20, until_quiet=False)
    assert town.live()

    assert len(puts(town)) == 30
    assert town.disk.rows("index.sqlite", "SELECT put, total FROM job") == [(30, 30)]
    assert broken(town, by_script=False) == []


async def test_a_put_that_meets_a_delivery_on_its_way_is_not_settled_with_it(tmp_path: Path) -> None:
    """The worker has taken the record up before it was put: what it settles then is not the put."""
    record = Record("student/1", "student", 1, 5, False, (), 1, {}, {}, {}, {})
    claim = Claim(5, 1, record.key, 1, 0, 0, NOTHING_HELD)
    row = (record.key, record.entity, record.rev, record.seq, b"")
    async with Sqlite.open(tmp_path / "index.sqlite", QUERIES["schema"]) as database:
        store = Store(database)
        await store.commit([store.write("save_records", [row])])
        await store.commit([store.write("mark", [("lms", 1, 1, 5, '["student"]')])])
        await store.commit([store.write("put_records", [("lms", 1, "replay.1", 1, 1, 2)])])

        async def left_after(claim: Claim) -> list[tuple[Any, ...]]:
            done = [Settled(claim, record, Outcome.DELIVERED, Op.CREATE, "hash", "")]
            await store.commit(settling(store, "lms", done, 3))
            return database.read("SELECT record, put, force FROM work")

        assert await left_after(claim) == [(1, "replay.1", 1)]
        assert await left_after(claim._replace(put="replay.1", force=True)) == []


async def test_what_changes_while_its_put_is_on_its_way_goes_again_without_the_put(tmp_path: Path) -> None:
    record = Record("student/1", "student", 1, 5, False, (), 1, {}, {}, {}, {})
    async with Sqlite.open(tmp_path / "index.sqlite", QUERIES["schema"]) as database:
        store = Store(database)
        await store.commit([store.write("save_records", [(record.key, record.entity, 1, 5, b"")])])
        await store.commit([store.write("put_records", [("lms", 1, "replay.1", 1, 1, 2)])])
        await store.commit([store.write("save_records", [(record.key, record.entity, 2, 6, b"")])])
        await store.commit([store.write("mark", [("lms", 1, 6, 6, '["student"]')])])
        claim = Claim(5, 1, record.key, 1, 0, 0, NOTHING_HELD, "replay.1", True)
        done = [Settled(claim, record, Outcome.DELIVERED, Op.UPDATE, "hash", "")]
        await store.commit(settling(store, "lms", done, 3))

        assert database.read("SELECT rev, put, force FROM work") == [(2, "", 0)]


def test_a_second_job_for_a_destination_waits_for_the_first(town: Town) -> None:
    from_ms = happens(town, student(town, "1"))
    said: list[str] = []

    async def twice(pipeline: Pipeline) -> None:
        for system in ("lms", "lms", "idp"):
            try:
                await ask(pipeline, town, "start", system=system, from_ms=from_ms, why="x")
            except BusError as error:
                said.append(error.message)

    town.acts.append(twice)
    assert town.live()

    assert len(said) == 1 and said[0].startswith("lms: replay.1 is at work there")
    assert ended(town)


def test_a_cancelled_job_takes_back_what_was_not_sent_but_no_change(town: Town) -> None:
    from_ms = happens(town, *[student(town, f"{n}") for n in range(1, 11)])
    far = town.fars["lms"]
    work = "SELECT (SELECT count(*) FROM work WHERE put = 'replay.1'), (SELECT count(*) FROM work)"
    found: list[tuple[Any, ...]] = []

    async def change_of_mind(pipeline: Pipeline) -> None:
        far.down_until_s = town.loop.time() + HOUR_S
        await ask(pipeline, town, "start", system="lms", from_ms=from_ms, why="x", force=True)
        await pipeline.jobs.step("replay.1")
        say(town, student(town, "1", name="Bea"))
        await asyncio.sleep(600)
        found.extend(town.disk.rows("index.sqlite", work))
        await ask(pipeline, town, "cancel", id="replay.1", why="the wrong one")
        found.extend(town.disk.rows("index.sqlite", work))

    town.acts.append(change_of_mind)
    assert town.live()

    assert found == [(10, 10), (0, 1)]
    assert ended(town) and puts(town) == {}
    assert far.records["student/1"].fields["name"] == "Bea"
    assert sends(town) == 11


def test_a_jobs_facts_stand_on_state(town: Town) -> None:
    from_ms = happens(town, student(town, "1"))
    replayed(town, from_ms)
    [fact] = [
        unpack(each.body)
        for each in town.server.streams["STATE"].messages.values()
        if each.subject.startswith("state.job.lms.")
    ]

    assert (fact["id"], fact["state"], fact["who"]) == ("replay.1", "done", "ada")
