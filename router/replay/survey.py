"""A job that looks first: what of all records would be sent by the rules of now, and whether that is beyond
the limits that a source's plan has too.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from bus.messages import Op, Record, Version
from router.core.delivery import NOTHING_HELD, Held, Planned
from router.core.jobs import Job, Members
from router.core.limits import NOUNS, most_of
from router.core.rules import Guards, Limit
from router.delivery.settled import Claim
from router.store import Store

RECORDS_AT_ONCE: Final = 100
"""Each takes some hundredths of a millisecond, and others wait for all of them."""

Plan = Callable[[Sequence[Claim]], list[tuple[Claim, Record, Planned]]]


class Survey(NamedTuple):
    """The records to put, what is told of them, and why a person has to look first ('' : nobody has to)."""

    members: Members
    report: dict[str, Any]
    beyond: str


async def by_rules(store: Store, job: Job, plan: Plan, guards: Guards, now_ms: int) -> Survey:
    """What a destination has not as its rules now say it is to have."""
    members = Members(store.read("last_record")[0][0] or 0)
    counts: Counter[tuple[str, str]] = Counter()
    there: Counter[str] = Counter()
    after, entities = 0, json.dumps(job.entities)
    while rows := store.read("surveyed", job.system, after, entities, RECORDS_AT_ONCE):
        after = rows[-1][0]
        for claim, record, found in plan([claim_of(row, now_ms) for row in rows]):
            there[record.entity] += bool(claim.held.hash)
            if found.delivery:
                members.add([claim.record])
                counts[record.entity, _op(claim, found)] += 1
        await asyncio.sleep(0)
    return Survey(
        members,
        {"changes": [[entity, op, count] for (entity, op), count in sorted(counts.items())]},
        beyond(counts, there, guards),
    )


def claim_of(row: tuple[Any, ...], now_ms: int) -> Claim:
    """From a row of `surveyed` or `compared`."""
    id_, key, rev, held_rev, epoch, seq, hash_, local_id = row
    held = NOTHING_HELD if hash_ is None else Held(held_rev, Version(epoch, seq), hash_, local_id)
    return Claim(0, id_, key, rev, 0, now_ms, held)


def _op(claim: Claim, found: Planned) -> str:
    if found.delivery and found.delivery.op is Op.DELETE:
        return Op.DELETE.value
    return Op.CREATE.value if claim.held.is_new else Op.UPDATE.value


def beyond(counts: Counter[tuple[str, str]], there: Counter[str], guards: Guards) -> str:
    """What of it is more than a plan may do unseen, in words; '' : nothing is."""
    limits: dict[str, Limit] = {
        Op.CREATE.value: guards.district_creates,
        Op.UPDATE.value: guards.district_updates,
        Op.DELETE.value: guards.district_removes,
    }
    return "; ".join(
        f"{count:,} {NOUNS[op]} of {entity}, of {there[entity]:,} (limit {most:,})"
        for (entity, op), count in sorted(counts.items())
        if count > (most := most_of(limits[op], there[entity], guards))
    )
