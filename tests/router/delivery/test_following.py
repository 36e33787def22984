"""What refers to a record goes before it, and comes back after it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from simulation.by_hand import empty_town, event, say
from simulation.clock import START_MS
from simulation.district import NotSenior
from simulation.invariants import broken
from simulation.waiting import watch
from simulation.world import Town

from bus.messages import Event, Op
from router.pipeline import Pipeline
from router.services.failed import commands as failed

ADA = {"name": "Ada", "grade": "9"}


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        only_juniors_in_lms(town)
        watch(town.fars)
        town.loop.pass_time(3600)
        yield town
        assert not [
            each for far in town.fars.values() for each in far.violations if "is there without" in each
        ]


def only_juniors_in_lms(town: Town, **also: object) -> None:
    """lms is told of no seniors, and files of no one's enrollments."""
    lms = town.district.systems["lms"]
    assert lms.destination
    entities = dict(lms.destination.entities)
    entities["student"] = replace(entities["student"], when=NotSenior())
    lms = replace(lms, destination=replace(lms.destination, entities=entities, **also))  # type: ignore[arg-type]
    town.district = replace(town.district, systems={**town.district.systems, "lms": lms})


def student(id_: str = "1", at: int = 0, op: Op = Op.UPDATE, **fields: str) -> Event:
    return event(id_, op=op, at_ms=START_MS + at, **({} if op is Op.DELETE else {**ADA, **fields}))


def enrollment(id_: str = "7", at: int = 0, op: Op = Op.UPDATE, **fields: str) -> Event:
    also = {} if op is Op.DELETE else {"student": "1", "class": "", "role": "student", **fields}
    return event(id_, entity="enrollment", op=op, at_ms=START_MS + at, **also)


def there(town: Town) -> set[str]:
    return set(town.fars["lms"].records)


def waits(town: Town) -> list[str]:
    sql = "SELECT reason FROM work WHERE destination = 'lms' AND awaits <> ''"
    return [str(reason) for (reason,) in town.disk.rows("index.sqlite", sql)]


def test_a_record_goes_after_what_refers_to_it_whatever_was_said_first(town: Town) -> None:
    say(town, student(), enrollment("7"), enrollment("8"))
    assert town.live()
    say(town, student(at=1, op=Op.DELETE), *[enrollment(id_, 1, Op.DELETE) for id_ in ("7", "8")])

    assert town.live()
    assert there(town) == set()
    assert not town.fars["lms"].violations
    assert broken(town, by_script=False) == []


@pytest.mark.parametrize("turns", range(20, 420, 20))
def test_no_crash_on_the_way_takes_a_record_before_what_refers_to_it(turns: int) -> None:
    with empty_town() as town:
        watch(town.fars)
        ids = ("7", "8", "9")
        say(town, student(), *[enrollment(id_) for id_ in ids])
        assert town.live()
        say(town, student(at=1, op=Op.DELETE), *[enrollment(id_, 1, Op.DELETE) for id_ in ids])
        town.live(turns=turns)

        assert town.live() or town.live()  # that turn may have come as the first life ended
        assert there(town) == set()
        assert not town.fars["lms"].violations
        assert broken(town, by_script=False) == []


def test_what_refers_to_a_record_that_matches_no_more_goes_with_it_and_comes_back_with_it(town: Town) -> None:
    say(town, student("1"), student("2"), enrollment("7"), enrollment("8", student="2"))
    assert town.live()
    say(town, student("1", at=1, grade="12"))
    assert town.live()

    assert there(town) == {"student/2", "enrollment/8"}
    assert "enrollment/7" in town.fars["files"].records
    say(town, student("1", at=2, grade="9"))
    assert town.live()
    assert there(town) == {"student/1", "student/2", "enrollment/7", "enrollment/8"}
    assert not town.fars["lms"].violations
    assert broken(town, by_script=False) == []


def test_what_is_removed_is_not_asked_for_when_its_target_comes_back(town: Town) -> None:
    say(town, student(), enrollment("7"), enrollment("8"))
    assert town.live()
    say(town, student(at=1, grade="12"), enrollment("7", at=1, op=Op.DELETE))
    assert town.live()
    say(town, student(at=2, grade="9"))

    assert town.live()
    assert there(town) == {"student/1", "enrollment/8"}
    put = "SELECT count(*) FROM ended WHERE destination = 'lms' AND others LIKE '[' || ? || ']'"
    [(id_,)] = town.disk.rows("index.sqlite", "SELECT id FROM record WHERE key = 'enrollment/7'")
    assert town.disk.rows("index.sqlite", put, id_) == [(0,)]


def test_what_names_another_record_now_is_told_so_before_the_old_one_goes(town: Town) -> None:
    say(town, student("1"), student("2"), enrollment())
    assert town.live()
    say(town, student("1", at=1, op=Op.DELETE), enrollment(at=1, student="2"))

    assert town.live()
    assert there(town) == {"student/2", "enrollment/7"}
    assert town.fars["lms"].records["enrollment/7"].fields["student"] == "2"
    assert not town.fars["lms"].violations


def test_what_named_a_record_long_ago_goes_on_its_own(town: Town) -> None:
    say(town, student("1"), student("2"), enrollment())
    assert town.live()
    say(town, enrollment(at=1, student="2"))
    assert town.live()
    say(town, student("1", at=2, op=Op.DELETE))

    assert town.live()
    assert there(town) == {"student/2", "enrollment/7"}


def test_a_new_record_is_not_made_where_what_it_refers_to_is_about_to_go(town: Town) -> None:
    say(town, student())
    assert town.live()
    say(town, enrollment("9"), student(at=1, grade="12"))

    assert town.live()
    assert there(town) == set()
    assert "enrollment/9" not in town.fars["lms"].told
    assert broken(town, by_script=False) == []


def test_what_was_known_to_be_there_is_looked_at_again_when_it_is_about_to_go(town: Town) -> None:
    say(town, student(), enrollment("7"))
    town.loop.call_later(500, lambda: say(town, enrollment("9"), student(at=1, grade="12")))
    town.live(until_quiet=False, stop_after_s=1_000)

    assert there(town) == set()
    assert "enrollment/9" not in town.fars["lms"].told
    assert broken(town, by_script=False) == []


def test_a_removal_waits_with_the_reason_behind_a_dead_letter_until_that_is_mended(town: Town) -> None:
    async def retry(pipeline: Pipeline) -> None:
        [command] = [each for each in failed(pipeline, town.loop.now_ms) if each.what == "failed.retry"]
        await command.answer("pat", b'{"why": "it is mended"}')

    say(town, student(), enrollment())
    assert town.live()
    town.fars["lms"].hates = frozenset({"enrollment/7"})
    say(town, student(at=1, op=Op.DELETE), enrollment(at=1, op=Op.DELETE))
    assert town.live()

    assert there(town) == {"student/1", "enrollment/7"}
    assert waits(town) == ["waits for enrollment/7: it has to go first, and failed there (422)"]
    assert broken(town, by_script=False) == []
    town.fars["lms"].hates = frozenset()
    town.acts.append(retry)
    assert town.live()
    assert there(town) == set()
    assert not town.fars["lms"].violations


def test_a_removal_and_what_refers_to_it_do_not_wait_for_each_other(town: Town) -> None:
    """Also where nobody knows whether the record is there: it may have been sent without an answer."""
    say(town, student(), enrollment())
    assert town.live()
    unknown = "UPDATE ledger SET hash = '?' WHERE record IN (SELECT id FROM record WHERE key = 'student/1')"
    town.disk.rows("index.sqlite", unknown)
    changes = [student(at=1, name="Bea"), student(at=2, op=Op.DELETE), enrollment(at=1, role="aide")]
    say(town, *changes)

    assert town.live()
    assert not waits(town)
    assert there(town) == set()


def test_what_stays_by_its_own_rule_keeps_nothing_there(town: Town) -> None:
    lms = town.district.systems["lms"]
    assert lms.destination
    entities = dict(lms.destination.entities)
    entities["enrollment"] = replace(entities["enrollment"], on_delete="ignore")
    lms = replace(lms, destination=replace(lms.destination, entities=entities))
    town.district = replace(town.district, systems={**town.district.systems, "lms": lms})
    say(town, student(), enrollment())
    assert town.live()
    say(town, student(at=1, op=Op.DELETE))

    assert town.live()
    assert there(town) == {"enrollment/7"}
    assert len(town.fars["lms"].violations) == 1  # as that rule wants it
    town.fars["lms"].violations.clear()


def test_what_follows_counts_towards_the_limit_of_removals(town: Town) -> None:
    only_juniors_in_lms(town, removes_per_hour=2)
    say(town, student(), *[enrollment(str(n)) for n in range(3)])
    assert town.live()
    say(town, student(at=1, grade="12"))
    town.live(until_quiet=False, stop_after_s=1_000)

    assert "student/1" in there(town)
    assert len(there(town)) == 2
    assert [reason.startswith("waits for enrollment/") for reason in waits(town)] == [True]
    assert town.live()
    assert there(town) == set()


def test_a_start_with_other_references_finds_those_of_all_records(town: Town) -> None:
    say(town, student(), enrollment())
    assert town.live()
    town.disk.rows("index.sqlite", "DELETE FROM referrer")
    town.disk.rows("index.sqlite", "DELETE FROM rules WHERE destination = ''")
    say(town, student(at=1, op=Op.DELETE), enrollment(at=1, op=Op.DELETE))

    assert town.live()
    assert not town.fars["lms"].violations


def test_a_removal_waits_for_what_names_another_now_and_is_not_marked_yet(town: Town) -> None:
    """It is written down as waiting: else it would be looked at again and again until that is marked."""
    say(town, student("1"), student("2"), enrollment())
    assert town.live()
    say(town, enrollment(at=1, student="2"))
    assert town.live()
    older = "UPDATE ledger SET rev = 1 WHERE record IN (SELECT id FROM record WHERE key = 'enrollment/7')"
    town.disk.rows("index.sqlite", older)
    say(town, student("1", at=2, op=Op.DELETE))
    town.live(until_quiet=False, stop_after_s=60)

    assert waits(town) == ["waits for enrollment/7: it goes first"]
    assert "student/1" in there(town)
