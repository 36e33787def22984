"""`after:`: a record that waits until other systems have it, and what wakes it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

import pytest
from simulation.by_hand import empty_town, event, say, told
from simulation.clock import START_MS
from simulation.district import NotSenior
from simulation.invariants import broken
from simulation.systems import Far
from simulation.waiting import idp_first
from simulation.world import Town

from bus.adapter import Delivery, Receipt
from bus.errors import Unavailable
from bus.messages import Event, Op, Outcome
from router.pipeline import Pipeline
from router.services.failed import commands as failed
from router.services.status import status_of

ADA = {"name": "Ada", "grade": "9"}


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        town.district = idp_first(town.district)
        town.loop.pass_time(3600)
        yield town
        assert not [each for far in town.fars.values() for each in far.violations]


def student(id_: str = "1", at: int = 0, op: Op = Op.UPDATE, **fields: str) -> Event:
    return event(id_, op=op, at_ms=START_MS + at, **({} if op is Op.DELETE else {**ADA, **fields}))


def waits(town: Town, destination: str = "lms") -> list[tuple[str, str]]:
    query = "SELECT awaits, reason FROM work WHERE destination = ? AND awaits <> ''"
    return [(str(a), str(b)) for a, b in town.disk.rows("index.sqlite", query, destination)]


def down(town: Town, name: str, for_s: float) -> None:
    town.fars[name].down_until_s = town.loop.time() + for_s


def test_a_record_waits_until_the_system_before_has_it(town: Town) -> None:
    down(town, "idp", 5_000)
    say(town, *[student(str(n)) for n in range(3)])
    town.live(until_quiet=False, stop_after_s=1_000)

    assert not town.fars["lms"].records
    assert waits(town) == [("idp", "waits for idp: it is not there yet")] * 3
    assert town.live()
    assert set(town.fars["lms"].records) == {"student/0", "student/1", "student/2"}
    assert broken(town, by_script=False) == []


def test_what_waits_is_told_with_its_number_and_since_when(town: Town) -> None:
    found = []

    down(town, "idp", 5_000)
    say(town, *[student(str(n)) for n in range(3)])
    began_ms = town.loop.now_ms()
    town.loop.call_later(1_000, lambda: found.append(status_of(town.pipeline, 0)["destinations"]["lms"]))  # type: ignore[arg-type]

    assert town.live()
    [said] = found
    assert said["waits_for"]["idp"]["records"] == said["waiting"] == 3
    assert began_ms <= said["waits_for"]["idp"]["since_ms"] < began_ms + 60_000


def test_a_record_that_the_system_before_does_not_get_does_not_wait_for_it(town: Town) -> None:
    say(town, student(grade="12"))

    assert town.live()
    assert told(town, "idp/student/1@1.1").outcome is Outcome.FILTERED
    assert set(town.fars["lms"].records) == {"student/1"}


def test_a_record_that_failed_before_waits_with_the_reason_until_that_is_mended(town: Town) -> None:
    town.fars["idp"].hates = frozenset({"student/1"})
    say(town, student())
    town.live(until_quiet=False, stop_after_s=1_000)

    assert waits(town) == [("idp", "waits for idp: it failed there (422)")]
    town.fars["idp"].hates = frozenset()
    say(town, student(at=1, name="Bea"))
    assert town.live()
    assert town.fars["lms"].records["student/1"].fields["name"] == "Bea"
    assert broken(town, by_script=False) == []


def test_a_record_that_is_gone_before_it_went_waits_no_more(town: Town) -> None:
    down(town, "idp", 1_000_000)
    say(town, student())
    town.live(until_quiet=False, stop_after_s=1_000)
    say(town, student(at=1, op=Op.DELETE))
    town.live(until_quiet=False, stop_after_s=1_000)

    assert not waits(town)
    assert not town.disk.rows("index.sqlite", "SELECT 1 FROM work WHERE destination = 'lms'")
    assert not town.fars["lms"].records


def test_a_removal_does_not_wait(town: Town) -> None:
    say(town, student())
    assert town.live()
    down(town, "idp", 1_000_000)
    say(town, student(at=1, op=Op.DELETE))
    town.live(until_quiet=False, stop_after_s=1_000)

    assert not town.fars["lms"].records


def test_a_restart_looks_at_all_that_waits_once_more(town: Town) -> None:
    down(town, "idp", 1_000_000)
    say(town, student())
    town.live(until_quiet=False, stop_after_s=1_000)
    assert waits(town)
    lms = town.district.systems["lms"]
    assert lms.destination
    entities = {name: replace(rule, after=()) for name, rule in lms.destination.entities.items()}
    lms = replace(lms, destination=replace(lms.destination, entities=entities))
    town.district = replace(town.district, systems={**town.district.systems, "lms": lms})
    town.live(until_quiet=False, stop_after_s=1_000)

    assert set(town.fars["lms"].records) == {"student/1"}


@pytest.mark.parametrize("turns", range(20, 420, 10))
def test_no_crash_between_the_two_systems_leaves_a_record_waiting(turns: int) -> None:
    with empty_town() as town:
        town.district = idp_first(town.district)
        say(town, *[student(str(n)) for n in range(5)])
        town.live(turns=turns)

        assert town.live() or town.live()  # that turn may have come as the first life ended
        assert set(town.fars["lms"].records) == {f"student/{n}" for n in range(5)}
        assert broken(town, by_script=False) == []


# -- what a record refers to


def enrollment(id_: str = "7", at: int = 0, op: Op = Op.UPDATE, **fields: str) -> Event:
    also = {} if op is Op.DELETE else {"student": "1", "class": "", "role": "student", **fields}
    return event(id_, entity="enrollment", op=op, at_ms=START_MS + at, **also)


def test_a_record_waits_until_what_it_refers_to_is_there(town: Town) -> None:
    down(town, "idp", 5_000)
    say(town, student(), enrollment())
    town.live(until_quiet=False, stop_after_s=1_000)

    assert set(waits(town)) == {
        ("idp", "waits for idp: it is not there yet"),
        ("lms", "waits for student/1: it is not there yet"),
    }
    assert town.live()
    assert set(town.fars["lms"].records) == {"student/1", "enrollment/7"}
    assert broken(town, by_script=False) == []


def test_where_nobody_is_told_of_what_a_record_refers_to_it_does_not_wait(town: Town) -> None:
    down(town, "idp", 1_000_000)
    say(town, student(), enrollment())
    town.live(until_quiet=False, stop_after_s=1_000)

    assert set(town.fars["files"].records) == {"enrollment/7"}


def test_a_record_whose_target_failed_waits_with_the_reason(town: Town) -> None:
    town.fars["lms"].hates = frozenset({"student/1"})
    say(town, student(), enrollment())
    town.live(until_quiet=False, stop_after_s=1_000)

    assert waits(town) == [("lms", "waits for student/1: it failed there (422)")]
    town.fars["lms"].hates = frozenset()
    say(town, student(at=1, name="Bea"))
    assert town.live()
    assert "enrollment/7" in town.fars["lms"].records


def test_a_record_whose_target_is_not_for_the_system_is_not_either(town: Town) -> None:
    lms = town.district.systems["lms"]
    assert lms.destination
    entities = dict(lms.destination.entities)
    entities["student"] = replace(entities["student"], when=NotSenior())
    lms = replace(lms, destination=replace(lms.destination, entities=entities))
    town.district = replace(town.district, systems={**town.district.systems, "lms": lms})
    say(town, student(grade="12"), enrollment())

    assert town.live()
    ended = told(town, "lms/enrollment/7@1.1")
    assert (ended.outcome, ended.reason) == (Outcome.FILTERED, "student/1 is not for this system")
    assert not town.fars["lms"].records


def test_a_record_that_refers_to_what_nobody_has_told_of_waits_for_that(town: Town) -> None:
    say(town, enrollment())
    assert town.live()
    assert waits(town) == [("lms", "waits for something that it refers to, and no system has told us of")]
    say(town, student())

    assert town.live()
    assert set(town.fars["lms"].records) == {"student/1", "enrollment/7"}
    assert broken(town, by_script=False) == []


def test_a_record_that_stops_matching_is_removed_and_not_called_deleted(town: Town) -> None:
    say(town, student())
    assert town.live()
    say(town, student(at=1, grade="12"))
    assert town.live()

    ended = told(town, "idp/student/1@1.2")
    assert (ended.outcome, ended.op, ended.reason) == (Outcome.DELIVERED, "delete", "no longer matches when")
    assert not town.fars["idp"].records["student/1"].active
    say(town, student(at=2, grade="9"))
    assert town.live()
    assert town.fars["idp"].records["student/1"].active


def test_what_waits_for_a_dead_letter_goes_on_when_a_person_lets_that_be(town: Town) -> None:
    async def discard(pipeline: Pipeline) -> None:
        [command] = [each for each in failed(pipeline, town.loop.now_ms) if each.what == "failed.discard"]
        await command.answer("pat", b'{"why": "it is not ours"}')

    town.fars["idp"].hates = frozenset({"student/1"})
    say(town, student())
    town.acts.append(discard)

    assert town.live()
    assert set(town.fars["lms"].records) == {"student/1"}


class NewIds(Far):
    """Gives a record an id of its own whenever it is made. `lies`: what it has taken away it does not say."""

    made = 0
    lies = False
    ids: ClassVar[dict[str, str]] = {}

    def write(self, delivery: Delivery) -> Receipt:
        is_new = delivery.key not in self.records
        receipt = super().write(delivery)
        if is_new and delivery.key in self.records:
            self.made += 1
            self.ids[delivery.key] = f"own {self.made}"
        if self.lies and delivery.key == "student/1":
            raise Unavailable("lms: cut off")
        return receipt._replace(local_id=self.ids.get(delivery.key, ""))


@pytest.mark.parametrize("restarts", [False, True])
def test_who_refers_to_what_may_be_gone_there_waits_for_its_new_id(restarts: bool) -> None:
    """The removals were done, and nobody knows; then all of it comes back."""
    with empty_town() as town:
        town.fars["lms"] = lms = NewIds("lms", compares=True, gives_ids=False)
        say(town, student(), enrollment())
        assert town.live()
        lms.lies = True
        say(town, enrollment(at=1, op=Op.DELETE), student(at=1, op=Op.DELETE))
        town.loop.call_later(5, lambda: say(town, student(at=2), enrollment(at=2)))
        if restarts:
            town.live(until_quiet=False, stop_after_s=2)
            assert not lms.records
        town.loop.call_later(30, lambda: setattr(lms, "lies", False))

        assert town.live()
        assert lms.records["enrollment/7"].fields["student"] == lms.ids["student/1"] != "own 1"
        assert broken(town, by_script=False) == []
