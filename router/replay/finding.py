"""Which records a job is about, and how they stand at its destination: read from the index, page by page, so
that nobody waits.
"""

import asyncio
import json
from typing import Final

from router.core.jobs import Counts, Job, Kind, Members, pace_per_s
from router.store import Store

SEQS_AT_ONCE: Final = 10_000
COMMITS_AT_ONCE: Final = 200
RECORDS_AT_ONCE: Final = 2_000
COMMITS_LOOKED_AT: Final = 300


async def members_of(store: Store, job: Job) -> Members:
    """The records that a job is about."""
    await store.reached("changes", job.last_seq)
    members = Members(store.read("last_record")[0][0] or 0)
    if job.kind is Kind.REPLAY:
        await _of_window(store, job, members)
    elif job.kind is Kind.BACKFILL:
        await _all(store, job, members)
    if job.record:
        members.only(store.read("record_of", job.record)[0][0])
    return members


async def _all(store: Store, job: Job, members: Members) -> None:
    after, entities = 0, json.dumps(job.entities)
    while rows := store.read("ids_of", after, entities, RECORDS_AT_ONCE):
        members.add([record for (record,) in rows])
        after = rows[-1][0]
        await asyncio.sleep(0)


async def _of_window(store: Store, job: Job, members: Members) -> None:
    """A change of them was made in it, or a delivery of them ended in it."""
    entities = json.dumps(job.entities)
    for first in range(job.first_seq, job.last_seq + 1, SEQS_AT_ONCE):
        last = min(first + SEQS_AT_ONCE - 1, job.last_seq)
        members.add([record for (record,) in store.read("changed", first, last, entities)])
        await asyncio.sleep(0)
    after = 0
    while True:
        rows = store.read("ended", job.system, job.from_ms, job.until_ms, after, entities, COMMITS_AT_ONCE)
        for _, told, others in rows:
            members.add(json.loads(told), told=True)
            members.add(json.loads(others))
        if len(rows) < COMMITS_AT_ONCE:
            break
        after = rows[-1][0]
        await asyncio.sleep(0)


async def counted(store: Store, job: Job, members: Members) -> Counts:
    """How they stand, so far as the ledger knows: nobody asks the destination."""
    found, after = Counts(), 0
    while page := members.after(after, RECORDS_AT_ONCE):
        after = page[-1][0]
        for was_told in (True, False):
            records = [record for record, told in page if told is was_told]
            if not records:
                continue
            there, absent, due = store.read("standing", job.system, json.dumps(records))[0]
            again = there + (absent if was_told else 0) if job.force else 0
            found = Counts(
                found.records + len(records),
                found.there + there,
                found.absent + absent,
                found.due + due,
                found.send + due + again,
            )
        await asyncio.sleep(0)
    return found


def pace_of(store: Store, system: str, rates: tuple[float, ...]) -> float:
    """Records a second: what it took lately, and no more than these rates (0: no limit). 0: nobody knows."""
    commits = store.read("paces", system, COMMITS_LOOKED_AT)
    lately = pace_per_s((at_ms, count) for at_ms, count in reversed(commits))
    return min((rate for rate in (lately, *rates) if rate), default=0.0)
