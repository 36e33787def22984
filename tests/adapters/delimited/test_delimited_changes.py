"""What a destination of delimited files writes: changes only. And what a crash leaves."""

import shutil
from collections.abc import Sequence

import pytest
from delimited_outbox import CHANGES, SHAPE, Outbox, student
from folders import DAY_MS, deliver, outcomes

from bus.adapter import Delivery, Receipt
from bus.errors import ConfigError
from bus.messages import Op, Outcome

SMALL = SHAPE._replace(fields=(("name", "text"),))


async def test_a_batch_is_a_file_with_what_it_changed_and_how(outbox: Outbox) -> None:
    lms = outbox.destination(**CHANGES)
    await lms.apply([student("1"), student("2"), student("3")])

    receipts = await lms.apply([student("1", 2, name="Oak"), student("2", 2, Op.DELETE), student("3", 2)])
    await lms.apply([student("2", 3)])
    await lms.close()

    assert outcomes(receipts) == [Outcome.DELIVERED, Outcome.DELIVERED, Outcome.UNCHANGED]
    assert outbox.files() == [f"students-00000{n}.csv" for n in (1, 2, 3)]
    found = [
        line.split(",")[:2] + line.split(",")[-1:] for line in outbox.text("students-000002.csv").split()
    ]
    assert found == [["id", "name", "operation"], ["1", "Oak", "update"], ["2", "Tam", "delete"]]
    assert outbox.text("students-000003.csv").endswith(',"art,music",create\r\n')


async def test_what_it_was_told_and_has_otherwise_stands_in_a_file_again(outbox: Outbox) -> None:
    lms = outbox.destination(SMALL, **CHANGES)
    told = deliver("students", "1", 1, Op.UPDATE, {"name": "Tam"})
    await lms.apply([told])

    receipts = [*await lms.apply([told._replace(again=True)]), *await lms.apply([told])]
    await lms.close()

    assert outcomes(receipts) == [Outcome.DELIVERED, Outcome.UNCHANGED]
    assert outbox.files() == ["students-000001.csv", "students-000002.csv"]
    assert outbox.text("students-000002.csv") == "id,name,operation\r\n1,Tam,update\r\n"


async def test_what_is_gone_may_stand_in_a_file_of_its_own(outbox: Outbox) -> None:
    tables = {"students": {"deletes": "{table}-gone-{seq}.csv"}}
    lms = outbox.destination(SMALL, kind="changes", file="{table}-{seq}.csv", tables=tables)
    await lms.apply([deliver("students", str(n), 1, Op.UPDATE, {"name": "Tam"}) for n in range(3)])

    await lms.apply([deliver("students", "1", 2, Op.DELETE, {})])
    await lms.close()

    assert outbox.files() == ["students-000001.csv", "students-gone-000002.csv"]
    assert outbox.text("students-000001.csv") == "id,name\r\n0,Tam\r\n1,Tam\r\n2,Tam\r\n"
    assert outbox.text("students-gone-000002.csv") == "id\r\n1\r\n"


async def test_a_record_that_the_system_has_already_goes_under_its_own_id(outbox: Outbox) -> None:
    lms = outbox.destination(SMALL, **CHANGES)
    update = deliver("students", "1", 1, Op.UPDATE, {"name": "Tam"}, local_id="S-1")
    delete = deliver("students", "2", 1, Op.DELETE, {}, local_id="S-2")

    receipts = await lms.apply([update, delete, deliver("students", "3", 1, Op.DELETE, {})])
    again = await lms.apply([update, delete])
    await lms.close()

    assert outcomes(receipts) == [Outcome.DELIVERED, Outcome.DELIVERED, Outcome.UNCHANGED]
    assert [receipt.local_id for receipt in receipts] == ["S-1", "S-2", "3"]
    assert outcomes(again) == [Outcome.UNCHANGED] * 2
    assert outbox.text("students-000001.csv") == "id,name,operation\r\nS-1,Tam,update\r\nS-2,,delete\r\n"


async def test_a_record_that_was_never_written_cannot_be_switched_off(outbox: Outbox) -> None:
    tables = {"students": {"deactivated": {"name": "gone"}}}
    lms = outbox.destination(SMALL, **CHANGES, tables=tables)

    [receipt] = await lms.apply([deliver("students", "1", 1, Op.DELETE, {}, deactivate=True, local_id="S-1")])
    await lms.close()

    assert receipt.outcome is Outcome.FAILED
    assert outbox.files() == []


async def test_a_file_of_changes_stays_for_two_weeks_however_many_come_after_it(outbox: Outbox) -> None:
    lms = outbox.destination(SMALL, **CHANGES, keep=2)

    for number in range(20):
        await lms.apply([student(str(number), name="Tam")._replace(fields={"name": "Tam"})])
        outbox.now_ms += DAY_MS
    await lms.close()

    assert outbox.files() == [f"students-{n:06d}.csv" for n in range(6, 21)]


async def test_a_form_that_can_not_say_what_is_gone_is_a_wrong_setting(outbox: Outbox) -> None:
    tables = {"staff": {"deletes": "gone-{seq}.csv"}}

    with pytest.raises(ConfigError, match="students: nothing says what is gone"):
        await outbox.destination(kind="changes", file="{table}-{seq}.csv", tables=tables).check()
    with pytest.raises(ConfigError, match="column name is mapped, and is the one that says the operation"):
        await outbox.destination(**{**CHANGES, "operation": {"column": "name"}}).check()


async def test_no_file_is_written_over_also_not_by_a_state_that_was_lost(outbox: Outbox) -> None:
    await _apply(outbox, [student("1")])
    shutil.rmtree(outbox.state)

    await _apply(outbox, [student("1")])

    assert outbox.files() == ["students-000001.csv", "students-000002.csv"]


async def _apply(outbox: Outbox, batch: list[Delivery]) -> Sequence[Receipt]:
    lms = outbox.destination(**CHANGES)
    try:
        return await lms.apply(batch)
    finally:
        await lms.close()
