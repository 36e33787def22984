"""`failed`: what destinations have refused for good. See why, send it again, or let it be."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from bus.durations import seconds
from bus.errors import BusError
from bus.messages import AuditRecord, Outcome, Step
from bus.services import Command
from router.config.terms import used_fields
from router.core.reasons import runbook_of
from router.decided import entity_of
from router.outbox import audit_messages
from router.pipeline import Pipeline
from router.services.acts import known_entity, why_of
from router.services.asking import asked, reply

MOST: Final = 500
AT_ONCE: Final = 500


class Letter(NamedTuple):
    """A record that a destination lacks. `record` is its name in the index; `rev` and `seq` are those of the
    change that failed, `newest_rev` the record's own.
    """

    system: str
    record: int
    key: str
    rev: int
    seq: int
    at_ms: int
    attempts: int
    reason: str
    newest_rev: int


def commands(pipeline: Pipeline, now_ms: Callable[[], int]) -> list[Command]:
    """What answers `failed.list`, `failed.show`, `failed.retry` and `failed.discard`."""

    async def listed(operator: str, request: bytes) -> bytes:
        says = _named(pipeline, asked(request))
        wanted = _wanted(pipeline, says, now_ms())
        most, offset = min(int(says.get("most", 50)), MOST), int(says.get("offset", 0))
        ((count,),) = pipeline.store.read("failures_count", *wanted)
        entries = [_entry(pipeline, each) for each in _page(pipeline, wanted, most, offset)]
        return reply({"timezone": pipeline.district.timezone, "count": count, "failed": entries})

    async def shown(operator: str, request: bytes) -> bytes:
        says = _named(pipeline, asked(request))
        system, key = str(says.get("system", "")), str(says.get("key", ""))
        found = _page(pipeline, _wanted(pipeline, {"system": system, "key": key}, now_ms()), 1, 0)
        if not found:
            raise BusError(f"{system} {key}: no dead letter of it is open. See: yellowbus failed list")
        entry = {**_entry(pipeline, found[0]), "fields": _told(pipeline, system, key)}
        return reply({"timezone": pipeline.district.timezone, **entry})

    async def retried(operator: str, request: bytes) -> bytes:
        says, at_ms = _named(pipeline, asked(request)), now_ms()
        why, count = why_of(says), 0
        for letters in _pages(pipeline, _wanted(pipeline, says, at_ms)):
            puts = [(each.system, each.key, f"retry.{at_ms}", at_ms) for each in letters]
            writes = [pipeline.store.write("put", puts)]
            told = [_acted(each, "sends again", at_ms, operator, why) for each in letters]
            out = pipeline.outbox.put(audit_messages(told))
            await pipeline.store.commit([*writes, *out.writes])
            out.send()
            count += len(letters)
            for worker in pipeline.workers.values():
                worker.wake()
        return reply({"records": count, "put": f"retry.{at_ms}"})

    async def discarded(operator: str, request: bytes) -> bytes:
        says, at_ms = _named(pipeline, asked(request)), now_ms()
        why, wanted, count = why_of(says), _wanted(pipeline, says, at_ms), 0
        while letters := _page(pipeline, wanted, AT_ONCE, 0):
            told = [_discarded(pipeline, each, at_ms, operator, why) for each in letters]
            facts = [
                pipeline.workers[each.system].telling.letter_ended(
                    entity_of(each.key), each.key, Outcome.DISCARDED, audit.id, who=operator, why=why
                )
                for each, audit in zip(letters, told, strict=True)
                if each.system in pipeline.workers
            ]
            acts = [_acted(each, "discarded", at_ms, operator, why) for each in letters]
            out = pipeline.outbox.put([*audit_messages([*acts, *told]), *facts])
            gone = [(each.system, each.record) for each in letters]
            writes = [pipeline.store.write(query, gone) for query in ("forget_failures", "wake_work")]
            await pipeline.store.commit([*writes, *out.writes])
            out.send()
            for worker in pipeline.workers.values():
                worker.wake()
            for each in letters:
                if each.system in pipeline.workers:
                    pipeline.workers[each.system].failures.forget([each.record])
            count += len(letters)
        return reply({"records": count})

    return [
        Command(what="failed.list", answer=listed, description="What destinations refused for good"),
        Command(what="failed.show", answer=shown, description="One dead letter: why, since when"),
        Command(what="failed.retry", answer=retried, description="Send them again, with why"),
        Command(what="failed.discard", answer=discarded, description="Let them be, with why"),
    ]


def _named(pipeline: Pipeline, says: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same request, with the record in place of a dead letter's id, as in lms@1.117. Raises BusError."""
    if not (id_ := str(says.get("id", ""))):
        return says
    system, _, change = id_.partition("@")
    seq = change.rpartition(".")[2]
    found = pipeline.store.read("failed_at", system, int(seq)) if seq.isascii() and seq.isdecimal() else ()
    if not found:
        raise BusError(f"{id_}: no dead letter of that id is open. See: yellowbus failed list")
    return {**says, "system": system, "key": found[0][0]}


Wanted = tuple[str, str, str, str, int, int]
"""destination, entity, key, a part of the reason, from and until when: as the queries take it"""


def _wanted(pipeline: Pipeline, says: Mapping[str, Any], now_ms: int) -> Wanted:
    """Which are meant, of those that there are by now. Raises BusError for what there is not."""
    system, entity, key = (str(says.get(name, "")) for name in ("system", "entity", "key"))
    if system and system not in pipeline.workers:
        known = ", ".join(pipeline.workers) or "none"
        raise BusError(f"failed: {system!r} is no destination here (expected one of: {known})")
    if entity and entity not in pipeline.district.entities:
        known = ", ".join(pipeline.district.entities)
        raise BusError(f"failed: {entity!r} is no entity here (expected one of: {known})")
    if key:
        known_entity(pipeline, key)
    first_ms = 0
    if since := str(says.get("since", "")):
        try:
            first_ms = now_ms - int(seconds(since) * 1000)
        except ValueError as error:
            raise BusError(f"since: {error}") from None
    return system, entity, key, str(says.get("reason", "")), first_ms, now_ms


def _page(pipeline: Pipeline, wanted: Wanted, most: int, offset: int) -> list[Letter]:
    return [Letter(*row) for row in pipeline.store.read("failures", *wanted, most, offset)]


def _pages(pipeline: Pipeline, wanted: Wanted) -> Iterator[list[Letter]]:
    """All of them as they are now; what is put stays listed until it is delivered."""
    every: list[Letter] = []
    while page := _page(pipeline, wanted, AT_ONCE, len(every)):
        every += page
    for start in range(0, len(every), AT_ONCE):
        yield every[start : start + AT_ONCE]


def _entry(pipeline: Pipeline, each: Letter) -> dict[str, Any]:
    work = pipeline.store.read("work_of", each.system, each.key)
    return {
        "id": f"{each.system}@{pipeline.store.position('epoch')}.{each.seq}",
        "destination": each.system,
        "key": each.key,
        "rev": each.rev,
        "newest_rev": each.newest_rev,
        "at_ms": each.at_ms,
        "attempts": each.attempts,
        "reason": each.reason,
        "runbook": runbook_of(each.reason),
        "on_its_way": bool(work),
    }


def _told(pipeline: Pipeline, system: str, key: str) -> list[str]:
    """The hub's fields that the destination is told of such a record."""
    route = pipeline.workers[system].routes.get(entity_of(key))
    terms: Iterable[Any] = route.rule.terms if route else ()
    return sorted({name for term in terms for name in used_fields(term)})


def _acted(each: Letter, what: str, at_ms: int, operator: str, why: str) -> AuditRecord:
    return AuditRecord(
        f"failed/{each.system}.{each.seq}/{at_ms}",
        Step.OPERATOR,
        Outcome.ACCEPTED,
        at_ms,
        destination=each.system,
        entity=entity_of(each.key),
        key=each.key,
        reason=f"{what}: {why}",
        rev=each.rev,
        seq=each.seq,
        who=operator,
    )


def _discarded(pipeline: Pipeline, each: Letter, at_ms: int, operator: str, why: str) -> AuditRecord:
    """The letter ends: as a put does, so that whoever makes the list again knows."""
    acted = _acted(each, "discarded", at_ms, operator, why)
    id_ = f"{each.system}@{pipeline.store.position('epoch')}.{each.seq}/discard.{at_ms}"
    return acted._replace(id=id_, step=Step.PUT, outcome=Outcome.DISCARDED)
