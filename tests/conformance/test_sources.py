"""The laws that every source keeps which is read. See `sources.py` to add one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from conformance.sources import Delimited, OneRosterCsv, SourceSubject
from folders import rows

from bus.adapter import Reading
from bus.errors import ConfigError, Refused, Unavailable

SUBJECTS: list[type[SourceSubject]] = [OneRosterCsv, Delimited]
MANY = [(f"{n:04d}", f"School {n}") for n in range(1_203)]


@pytest.fixture(params=SUBJECTS, ids=lambda kind: kind.__name__.lower())
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> SourceSubject:
    return request.param(tmp_path)


@asynccontextmanager
async def reading_of(subject: SourceSubject) -> AsyncIterator[Reading]:
    """What a source that was made now gives first."""
    source = subject.make()
    async with asyncio.timeout(20), aclosing(source.read()) as readings:  # type: ignore[type-var]
        yield await anext(readings)
    await source.close()


async def test_every_record_is_given_once_with_a_line_of_its_own(subject: SourceSubject) -> None:
    source, table = subject.make(), subject.shape.table
    await source.close()
    subject.tell(MANY)

    async with reading_of(subject) as reading:
        await reading.open()
        batches = [batch async for batch in reading.rows(table)]

    found = [row for batch in batches for row in batch]
    ids = [(row.values[subject.shape.id_field], row.values[subject.text_field]) for row in found]
    assert ids == MANY
    assert max(len(batch) for batch in batches) <= 500
    assert len({row.line for row in found}) == len(MANY)
    assert (reading.full, reading.tables) == (True, (table,))


async def test_what_was_neither_accepted_nor_refused_comes_again(subject: SourceSubject) -> None:
    await subject.make().close()
    subject.tell(MANY[:3])

    seen = []
    for _ in range(2):
        async with reading_of(subject) as reading:
            await reading.open()
            found = await rows(reading, subject.shape.table)
            seen.append((reading.name, reading.sha256, reading.size_bytes, reading.observed_at_ms, found))

    assert seen[0] == seen[1]


@pytest.mark.parametrize("accept", [True, False])
async def test_what_was_put_away_does_not_come_again(subject: SourceSubject, accept: bool) -> None:
    await subject.make().close()
    subject.tell(MANY[:3])

    async with reading_of(subject) as first:
        for _ in range(2):  # twice is safe
            await (first.accept() if accept else first.refuse("It was the wrong one."))
    subject.tell(MANY[:4])
    async with reading_of(subject) as second:
        await second.open()
        found = await rows(second, subject.shape.table)

    assert len(found) == 4
    assert second.sha256 != first.sha256


async def test_what_is_damaged_is_refused_whole_and_no_reason_tells_a_value(subject: SourceSubject) -> None:
    await subject.make().close()
    subject.tell(MANY)
    subject.spoil()

    async with reading_of(subject) as reading:
        with pytest.raises(Refused) as refused:
            await reading.open()
            await rows(reading, subject.shape.table)

    assert refused.value.reasons
    assert refused.value.runbook == "refused-file"
    assert not any("School" in reason for reason in refused.value.reasons)


async def test_check_is_content_with_a_system_in_order_and_says_that_one_is_away(
    subject: SourceSubject,
) -> None:
    await subject.make().check()
    away = subject.make_unreachable()

    with pytest.raises((Unavailable, ConfigError), match=r"^there: "):
        await away.check()
    with pytest.raises(Unavailable, match=r"^there: "):
        async with aclosing(away.read()) as readings:  # type: ignore[type-var]
            await anext(readings)
    await away.close()
    await away.close()
