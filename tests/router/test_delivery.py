"""CHANGES to destinations: each record once, as it is now; and what happens to those that do not go."""

import asyncio
from collections.abc import AsyncIterator, Container, Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from simulation.by_hand import alerts, empty_town, event, say, told
from simulation.clock import START_MS
from simulation.invariants import audited, broken
from simulation.world import Town

from bus import subjects
from bus.codec import unpack
from bus.messages import AuditRecord, Event, Op, Outcome, Step
from router.core.retry import ATTEMPTS_MAX
from router.core.rules import DestinationRule
from router.core.schedule import ALWAYS
from router.database import Sqlite
from router.delivery.awaited import Awaited
from router.delivery.both_ways import BothWays
from router.delivery.gate import Gate
from router.delivery.order import Order
from router.delivery.worker import Worker
from router.outbox import Outbox
from router.records import Records
from router.store import QUERIES, Store

ADA = {"name": "Ada", "grade": "9"}


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        town.loop.pass_time(3600)
        yield town
        assert not [each for far in town.fars.values() for each in far.violations]


def student(id_: str = "1", at: int = 0, op: Op = Op.UPDATE, **fields: str) -> Event:
    return event(id_, op=op, at_ms=START_MS + at, **({} if op is Op.DELETE else {**ADA, **fields}))


def fault(town: Town, kind: str, rate: float = 1.0) -> None:
    town.weather.rates[kind] = rate


def sends(town: Town, far: str) -> int:
    return sum(town.fars[far].sent.values())


def test_a_record_goes_to_every_destination_once(town: Town) -> None:
    say(town, student())

    assert town.live()
    assert (sends(town, "lms"), sends(town, "idp"), sends(town, "files")) == (1, 1, 0)
    assert town.fars["lms"].records["student/1"].fields == {"id": "1", **ADA, "credits": None}
    assert broken(town, by_script=False) == []


def test_changes_that_came_while_it_was_down_are_settled_by_one_delivery(town: Town) -> None:
    town.fars["lms"].down_until_s = town.loop.time() + 500
    say(town, *[student(at=n, name=f"Ada {n}") for n in range(3)])

    assert town.live()
    assert sends(town, "lms") == 1
    assert (told(town, "lms/student/1@1.3").rev_from, told(town, "lms/student/1@1.3").rev) == (1, 3)
    assert broken(town, by_script=False) == []


def test_content_that_a_destination_holds_already_is_not_sent(town: Town) -> None:
    say(town, student())
    assert town.live()
    say(town, student(at=1, grade="10"), student(at=2, grade="9"))

    assert town.live()
    assert sends(town, "lms") == 1
    assert told(town, "lms/student/1@1.3").outcome is Outcome.UNCHANGED
    assert broken(town, by_script=False) == []


def test_a_record_that_was_never_there_is_settled_without_a_word(town: Town) -> None:
    say(town, student(), student(at=1, op=Op.DELETE))

    assert town.live()
    assert sends(town, "lms") == 0
    assert told(town, "lms/student/1@1.2").outcome is Outcome.FILTERED


def test_a_record_that_leaves_a_filter_is_taken_away_there_alone(town: Town) -> None:
    say(town, student())
    assert town.live()
    say(town, student(at=1, grade="12"))

    assert town.live()
    assert not town.fars["idp"].records["student/1"].active
    assert town.fars["lms"].records["student/1"].fields["grade"] == "12"


def test_a_refused_record_is_a_dead_letter_and_the_others_go_on(town: Town) -> None:
    town.fars["lms"].hates = frozenset({"student/1"})
    say(town, student("1"), student("2"))

    assert town.live()
    [stored] = town.server.streams["DEAD"].messages.values()
    letter = unpack(stored.body)
    assert (letter["destination"], letter["key"], letter["reason"]) == ("lms", "student/1", "422")
    assert set(town.fars["lms"].records) == {"student/2"}
    assert alerts(town) == ["dead-letters"]
    assert broken(town, by_script=False) == []


def test_after_a_dead_letter_the_next_version_is_tried(town: Town) -> None:
    town.fars["lms"].hates = frozenset({"student/1"})
    say(town, student())
    assert town.live()
    town.fars["lms"].hates = frozenset()
    say(town, student(at=1, name="Bea"))

    assert town.live()
    assert town.fars["lms"].records["student/1"].fields["name"] == "Bea"
    assert (told(town, "lms/student/1@1.2").rev_from, told(town, "lms/student/1@1.2").rev) == (2, 2)


def test_a_record_that_is_put_off_for_ever_is_a_dead_letter_after_its_attempts(town: Town) -> None:
    fault(town, "far.retry")
    say(town, student())

    assert town.live()
    assert town.fars["lms"].postponed == {"student/1": ATTEMPTS_MAX}
    assert told(town, "lms/student/1@1.1").outcome is Outcome.FAILED


def test_an_outage_does_not_use_up_a_records_attempts(town: Town) -> None:
    town.fars["lms"].down_until_s = town.loop.time() + 6000
    fault(town, "far.retry")
    say(town, student())

    assert town.live()
    assert town.fars["lms"].postponed == {"student/1": ATTEMPTS_MAX + 1}  # the probe's is none of them


def test_a_destination_that_hangs_slows_nobody_else(town: Town) -> None:
    town.weather.chance("far.hang@lms").random = lambda: 0.0  # type: ignore[method-assign]
    town.weather.rates["far.hang"] = 1e-9
    say(town, student())
    began_s = town.loop.time()
    town.live(until_quiet=False, stop_after_s=60)

    assert town.loop.time() - began_s < 120
    assert "student/1" in town.fars["idp"].records
    assert "student/1" not in town.fars["lms"].records


def test_a_bug_of_an_adapter_costs_only_the_record_that_brings_it_out(town: Town) -> None:
    town.fars["lms"].poison = frozenset({"student/7"})
    say(town, *[student(str(id_)) for id_ in range(1, 21)])

    assert town.live()
    assert set(town.fars["lms"].records) == {f"student/{id_}" for id_ in range(1, 21) if id_ != 7}
    assert [each.outcome for each in delivered(town, "lms") if each.key == "student/7"] == [Outcome.FAILED]
    assert sum(each.outcome is Outcome.FAILED for each in delivered(town, "lms")) == 1


def delivered(town: Town, far: str) -> list[AuditRecord]:
    return [r[0] for r in audited(town).values() if r[0].step is Step.DELIVERY and r[0].destination == far]


class Twice(Container[str]):
    """A record on which the adapter raises twice; then it is mended, and its system goes down."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.left = 2

    def __contains__(self, key: object) -> bool:
        if key != "student/2" or not self.left:
            return False
        self.left -= 1
        if not self.left:
            self.town.fars["lms"].down_until_s = self.town.loop.time() + 4000
        return True


def test_an_outage_after_a_bug_buries_no_innocent_record(town: Town) -> None:
    far = town.fars["lms"]
    far.poison = Twice(town)
    say(town, *[student(str(id_)) for id_ in (1, 2, 3)])

    assert town.live()
    assert set(far.records) == {"student/1", "student/2", "student/3"}
    assert "dead-letters" not in alerts(town)


def test_what_was_sent_without_an_answer_is_removed_when_the_record_is_gone(town: Town) -> None:
    fault(town, "far.lie")

    def gone() -> None:
        fault(town, "far.lie", 0.0)
        town.fars["lms"].down_until_s = town.loop.time() + 5
        say(town, student(at=1, op=Op.DELETE))

    say(town, student())
    town.loop.call_later(0.5, gone)

    assert town.live()
    assert "student/1" not in town.fars["lms"].records
    assert broken(town, by_script=False) == []


def test_what_was_sent_without_a_commit_is_removed_when_the_record_is_gone(town: Town) -> None:
    fault(town, "far.hang_after")
    say(town, student())
    town.loop.call_later(1, lambda: say(town, student(at=1, op=Op.DELETE)))
    later_s = town.loop.time() + 60
    assert not town.live(lambda name: town.loop.time() > later_s)
    assert "student/1" in town.fars["lms"].records
    fault(town, "far.hang_after", 0.0)

    assert town.live()
    assert town.fars["lms"].records == {}
    assert not any(held.active for held in town.fars["idp"].records.values())


def test_what_was_sent_while_the_disk_was_full_is_removed_when_the_record_is_gone(town: Town) -> None:
    def full_once(name: str) -> bool:
        fault(town, "disk.full", float(name == "commit index ledger" and "student/1" in there and not gone))
        if name == "commit index ledger" and there and not gone:
            gone.append(student(at=1, op=Op.DELETE))
            say(town, *gone)
        return False

    there, gone = town.fars["lms"].records, list[Event]()
    say(town, student())

    assert town.live(full_once)
    assert there == {}
    assert broken(town, by_script=False) == []


def test_a_value_that_came_back_is_sent_after_a_send_without_a_commit(town: Town) -> None:
    say(town, student())
    assert town.live()
    say(town, student(at=1, grade="10"))
    assert not town.live(lambda name: name == "commit index ledger")
    say(town, student(at=2, grade="9"))

    assert town.live()
    assert town.fars["lms"].records["student/1"].fields["grade"] == "9"
    assert town.fars["idp"].records["student/1"].fields["grade"] == "9"


def test_a_destinations_own_id_is_told_on_state_and_used(town: Town) -> None:
    say(town, student())
    assert town.live()
    [link] = town.server.streams["STATE"].messages.values()

    assert unpack(link.body)["local_id"] == "idp-1"
    assert told(town, "idp/student/1@1.1").local_id == "idp-1"


# -- the worker alone


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Sqlite.open(tmp_path / "index.sqlite", QUERIES["schema"]) as database:
        yield Store(database)


async def test_a_record_that_comes_due_between_two_looks_at_the_clock_is_not_waited_for(store: Store) -> None:
    times = iter(range(1_000, 2_000))

    async def sleep(delay_s: float) -> None:
        await asyncio.sleep(0)

    worker = Worker(
        system="lms",
        adapter=None,  # type: ignore[arg-type]
        routes={},
        rule=DestinationRule(adapter="", settings={}, entities={}),
        both_ways=BothWays("lms", {}, frozenset(), store, lambda record: (), {}),
        store=store,
        records=(records := Records(store.records, 10)),
        outbox=Outbox(store, None, sleep, print),  # type: ignore[arg-type]
        gate=Gate("lms", None, ALWAYS, ZoneInfo("UTC")),  # type: ignore[arg-type]
        order=Order("lms", {}, {}, store, records, Awaited(store), lambda record: record),
        key=b"k",
        epoch=1,
        tokens=subjects.Tokens(b"k"),
        now_ms=lambda: next(times),
        sleep=sleep,
        jitter=lambda: 1.0,
        trouble=print,
    )
    record = [("student/1", "student", 1, 1, b"")]
    await store.commit([store.write("save_records", record)])
    await store.commit([store.write("mark", [("lms", 0, 1, 1, '["student"]')])])
    await store.commit([store.write("postpone_work", [("lms", 1, 1, 1_002, "429")])])

    assert worker._claims(10) == []
    async with asyncio.timeout(5):
        await worker._wait()
