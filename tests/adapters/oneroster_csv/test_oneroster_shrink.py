"""How many rows a destination of files lets go, however they come."""

import sqlite3
from contextlib import closing

import pytest
from folders import DAY_MS, deliver, outcomes
from oneroster_outbox import PERSON, Outbox, org

from bus.messages import Op, Outcome


async def test_removals_beyond_the_limit_are_held_and_the_rest_goes_on(outbox: Outbox) -> None:
    lms = outbox.destination()
    await lms.apply([org(f"o{n}") for n in range(30)])

    receipts = await lms.apply([*(org(f"o{n}", 2, Op.DELETE) for n in range(8)), org("new", 2)])

    assert outcomes(receipts) == [Outcome.HELD] * 8 + [Outcome.DELIVERED]
    assert receipts[0].reason.startswith("are held: orgs would go from 30 to 23 rows (limit 20% in 24 h)")
    assert len(outbox.last("orgs")) == 31
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


async def test_what_is_held_does_not_go_by_itself_as_days_pass(outbox: Outbox) -> None:
    lms = outbox.destination()
    await lms.apply([org(f"o{n:03d}") for n in range(100)])
    slices = [[org(f"o{n:03d}", 2, Op.DELETE) for n in range(at, at + 15)] for at in range(0, 60, 15)]

    found = []
    for _ in range(60):
        found = [set(outcomes(await lms.apply(batch))) for batch in slices]
        outbox.now_ms += DAY_MS // 48
    await lms.close()

    assert found == [{Outcome.UNCHANGED}, {Outcome.HELD}, {Outcome.HELD}, {Outcome.HELD}]
    assert len(outbox.last("orgs")) == 85


async def test_held_removals_that_nobody_asks_for_any_more_count_no_longer(outbox: Outbox) -> None:
    lms = outbox.destination()
    await lms.apply([org(f"o{n}") for n in range(30)])
    await lms.apply([org(f"o{n}", 2, Op.DELETE) for n in range(8)])

    outbox.now_ms += DAY_MS // 24 + 1  # the records came back: nothing has to be sent for that
    receipts = await lms.apply([org("o9", 2, Op.DELETE)])
    await lms.close()

    assert outcomes(receipts) == [Outcome.DELIVERED]


async def test_held_removals_go_once_the_limit_is_raised_or_the_others_came_back(outbox: Outbox) -> None:
    lms = outbox.destination()
    await lms.apply([org(f"o{n}") for n in range(30)])
    removals = [org(f"o{n}", 2, Op.DELETE) for n in range(8)]
    held = await lms.apply(removals)

    still_held = await lms.apply(removals[:1])
    await lms.apply([org(f"o{n}", 3) for n in range(2, 8)])
    gone = await lms.apply(removals[:2])
    await lms.close()
    raised = outbox.destination(shrink_max=0.5)
    all_gone = await raised.apply([org(f"o{n}", 4, Op.DELETE) for n in range(2, 8)])
    await raised.close()

    assert {*outcomes(held), *outcomes(still_held)} == {Outcome.HELD}
    assert outcomes(gone) == [Outcome.DELIVERED] * 2
    assert outcomes(all_gone) == [Outcome.DELIVERED] * 6


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
