"""What was committed is told, once, in order, whatever the bus and the process do."""

import asyncio
from collections.abc import Iterator

import pytest
from simulation.by_hand import empty_town
from simulation.disk import Disk
from simulation.life import Life
from simulation.streams import Wire
from simulation.world import STATE, Town

from bus.codec import decode_audit
from bus.messages import AuditRecord, Outcome, Step
from bus.port import Message
from router.outbox import RECORDS_IN_MESSAGE_MAX, TAIL_MESSAGES, Outbox, audit_messages
from router.store import QUERIES, Store


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        yield town


def audit(id_: str, outcome: Outcome = Outcome.ACCEPTED) -> AuditRecord:
    return AuditRecord(id_, Step.EVENT, outcome, 1, source="sis", entity="student")


def message(id_: str) -> Message:
    return audit_messages([audit(id_)])[0]


def letter(id_: str) -> Message:
    return Message("dead.lms.student", b"x", id_)


class Process:
    """One life with nothing in it but an outbox."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.life = Life(1, town.loop, town.trace, lambda name: False)
        self.disk: Disk = town.disk

    def run(self, *messages: Message, stop_after_s: float = 5.0, publish: bool = True) -> None:
        """Recover, tell these messages, and end."""

        async def work() -> None:
            async with self.disk.open(self.life, STATE / "index.sqlite", QUERIES["schema"]) as database:
                wire = Wire(self.town.server, self.life, self.town.weather, down=self.town.outage)
                outbox = Outbox(Store(database), wire, asyncio.sleep, self.town.trace)
                await outbox.recover()
                running = asyncio.ensure_future(outbox.run())
                telling = asyncio.ensure_future(outbox.tell(messages))
                await asyncio.wait([telling], timeout=stop_after_s)
                if publish:
                    assert telling.done()
                    await outbox.settle()
                for each in (running, telling):
                    each.cancel()
                await asyncio.wait([running, telling])

        self.town.loop.run(work())

    def left(self) -> int:
        [(count,)] = self.disk.rows("index.sqlite", "SELECT count(*) FROM outbox")
        return int(count)

    def ids(self, stream: str) -> list[str]:
        return [stored.id for stored in self.town.server.streams[stream].messages.values()]


def test_what_is_told_stands_on_its_stream_and_leaves_the_outbox(town: Town) -> None:
    process = Process(town)
    process.run(message("a"), letter("b"), message("c"))

    assert process.ids("AUDIT") == ["a", "c"]
    assert process.ids("DEAD") == ["b"]
    assert process.left() == 0


def test_what_a_crash_kept_from_the_bus_is_told_by_the_next_start(town: Town) -> None:
    town.weather.rates["bus.refused"] = 1.0
    process = Process(town)
    process.run(message("a"), message("b"), publish=False)
    assert process.ids("AUDIT") == []

    town.weather.rates["bus.refused"] = 0.0
    process.run(message("c"))
    assert process.ids("AUDIT") == ["a", "b", "c"]
    assert process.left() == 0


@pytest.mark.parametrize("down_s", [1.0, 7200.0], ids=["within the window", "beyond it"])
def test_what_stands_on_its_stream_already_is_not_told_again(town: Town, down_s: float) -> None:
    town.weather.rates["bus.lost"] = 1.0
    process = Process(town)
    process.run(message("a"), message("b"), publish=False)
    assert process.ids("AUDIT") == ["a", "b"]
    town.loop.pass_time(down_s)

    town.weather.rates["bus.lost"] = 0.0
    process.run(message("c"))
    assert process.ids("AUDIT") == ["a", "b", "c"]
    assert process.left() == 0


def test_a_dead_letter_is_not_taken_for_told_because_its_audit_record_was(town: Town) -> None:
    town.server.store("AUDIT", [message("lms/student/1@1.1")], atomic=False)
    town.weather.rates["bus.refused"] = 1.0
    process = Process(town)
    process.run(message("lms/student/1@1.1"), letter("lms/student/1@1.1"), publish=False)

    town.weather.rates["bus.refused"] = 0.0
    process.run()
    assert process.ids("DEAD") == ["lms/student/1@1.1"]
    assert process.ids("AUDIT") == ["lms/student/1@1.1"]


def test_the_end_of_a_long_stream_is_enough_to_know(town: Town) -> None:
    town.server.store(
        "AUDIT", [Message("audit.x", b"x", str(n)) for n in range(TAIL_MESSAGES * 2)], atomic=True
    )
    town.weather.rates["bus.lost"] = 1.0
    process = Process(town)
    process.run(message("a"), publish=False)
    town.loop.pass_time(7200.0)

    town.weather.rates["bus.lost"] = 0.0
    process.run()
    assert process.ids("AUDIT").count("a") == 1


def test_while_the_bus_is_away_messages_wait_in_order(town: Town) -> None:
    town.weather.rates["bus.refused"] = 0.8
    process = Process(town)
    process.run(*[message(str(n)) for n in range(30)], stop_after_s=600.0)

    assert process.ids("AUDIT") == [str(n) for n in range(30)]


def test_audit_records_of_one_subject_share_a_message_named_after_the_first_and_their_count() -> None:
    records = [audit("1"), audit("2", Outcome.REFUSED), audit("3")]
    found = audit_messages(records)

    assert [(each.subject, each.id) for each in found] == [
        ("audit.event.accepted.sis.student", "1+1"),
        ("audit.event.refused.sis.student", "2"),
    ]
    assert [record.id for record in decode_audit(found[0].body)] == ["1", "3"]


def test_a_message_holds_so_many_audit_records_and_none_is_lost() -> None:
    found = audit_messages([audit(str(n)) for n in range(RECORDS_IN_MESSAGE_MAX * 2 + 1)])
    ids = [record.id for each in found for record in decode_audit(each.body)]

    assert len(found) == 3
    assert ids == [str(n) for n in range(RECORDS_IN_MESSAGE_MAX * 2 + 1)]
