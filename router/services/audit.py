"""`audit duplicates`: what nobody had to do twice, counted from AUDIT.

News that a system repeats, that it only echoes, or that another path has brought already; deliveries that
were not sent because the copy was right, or because a newer one followed.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from bus import subjects
from bus.codec import decode_audit
from bus.errors import BusError
from bus.messages import AuditRecord, Outcome, Step
from bus.port import Stored
from bus.services import Command
from router.core.once import Once
from router.core.saved import ECHO, REPEAT, SECOND_PATH
from router.pipeline import Pipeline
from router.services.asking import asked, reply

DAY_S: Final = 86_400
KINDS: Final = {REPEAT: "repeats", ECHO: "echoes", SECOND_PATH: "second_paths"}
READ: Final = (
    subjects.audit(Step.EVENT, Outcome.UNCHANGED, "*", "*"),
    subjects.audit(Step.EVENT, Outcome.DUPLICATE, "*", "*"),
    subjects.audit(Step.DELIVERY, "*", "*", "*"),
)

Counts = Counter[tuple[str, str, str]]
"""By system, entity and kind."""


def commands(pipeline: Pipeline, now_ms: Callable[[], int]) -> list[Command]:
    """What answers `audit.duplicates`."""

    async def duplicates(operator: str, request: bytes) -> bytes:
        since_s = asked(request).get("since_s", DAY_S)
        if not isinstance(since_s, int) or since_s < 1:
            raise BusError("since_s: expected a whole number of seconds, 1 or more")
        until_ms = now_ms()
        since_ms = until_ms - since_s * 1000
        kept_ms, is_all = await _kept(pipeline)
        events, deliveries = await count(
            pipeline.bus.read(subjects.AUDIT, subject=subject, since_ms=since_ms) for subject in READ
        )
        return reply(
            {
                "timezone": pipeline.district.timezone,
                "since_ms": since_ms,
                "until_ms": until_ms,
                "kept_since_ms": kept_ms,
                "complete": is_all or kept_ms <= since_ms,
                "events": _lines(events),
                "deliveries": _lines(deliveries),
            }
        )

    what = "What was saved: repeats, echoes, second paths; deliveries that were not needed"
    return [Command(what="audit.duplicates", answer=duplicates, description=what)]


async def count(streams: Iterable[AsyncIterator[list[Stored]]]) -> tuple[Counts, Counts]:
    """Events and deliveries of these parts of AUDIT, each audit record once; nothing else is kept of them."""
    events: Counts = Counter()
    deliveries: Counts = Counter()
    once: dict[tuple[Step, str, int], Once] = {}
    for stream in streams:
        async for batch in stream:
            for stored in batch:
                for record in decode_audit(stored.body):
                    seen = once.setdefault((record.step, record.system, record.epoch), Once())
                    # One that was said again by its sender has no sequence: it is no event.
                    if record.seq and not seen.first(record.seq):
                        continue
                    if record.step is Step.EVENT:
                        events[record.source, record.entity, _kind(record)] += 1
                    else:
                        _settled(deliveries, record)
    return events, deliveries


def _kind(record: AuditRecord) -> str:
    if record.outcome is Outcome.DUPLICATE:
        return "duplicates"
    return next((kind for reason, kind in KINDS.items() if record.reason.startswith(reason)), "others")


def _settled(counts: Counts, record: AuditRecord) -> None:
    """A delivery's record settles its revs: the newest by its outcome, those before as superseded."""
    names = (record.destination, record.entity)
    superseded = record.rev - record.rev_from + (record.outcome is Outcome.SUPERSEDED)
    if superseded > 0:
        counts[*names, "superseded"] += superseded
    if record.outcome is Outcome.UNCHANGED:
        counts[*names, "unchanged"] += 1


def _lines(counts: Counts) -> Sequence[Mapping[str, Any]]:
    """The counts of each system and entity together, by name."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for (system, entity, kind), number in counts.items():
        found.setdefault((system, entity), {})[kind] = number
    return [{"system": system, "entity": entity, **each} for (system, entity), each in sorted(found.items())]


async def _kept(pipeline: Pipeline) -> tuple[int, bool]:
    """When the oldest message on AUDIT was stored, and whether it is the first that ever was."""
    first_seq = (await pipeline.bus.info(subjects.AUDIT)).first_seq
    async for batch in pipeline.bus.read(subjects.AUDIT, first_seq=first_seq, last_seq=first_seq):
        return batch[0].at_ms, first_seq <= 1
    return 0, True
