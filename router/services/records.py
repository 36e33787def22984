"""`records`: two records of the hub turn out to be one, and are taken apart again."""

from collections.abc import Callable, Mapping
from typing import Any

from bus.errors import BusError
from bus.messages import Op, Record
from bus.services import Command
from router.core.joining import HUB
from router.pipeline import Pipeline
from router.services.acts import act, known_entity, record_of, why_of
from router.services.asking import asked, reply


def commands(pipeline: Pipeline, now_ms: Callable[[], int]) -> list[Command]:
    """What answers `records.merge` and `records.split`."""

    async def merged(operator: str, request: bytes) -> bytes:
        says = asked(request)
        stays, leaves = (_exactly(pipeline, str(says.get(name, ""))) for name in ("stays", "leaves"))
        if why := _no_merge(stays, leaves):
            raise BusError(why)
        about = _about(stays, leaves, says) | {"who": operator, "why": why_of(says)}
        seq = await act(pipeline, now_ms, Op.MERGE, stays.entity, about)
        if leaves.key not in record_of(pipeline, stays.key).aliases.get(HUB, ()):
            raise _changed(stays.key)
        return reply({"stays": stays.key, "leaves": leaves.key, "event": seq})

    async def split(operator: str, request: bytes) -> bytes:
        says = asked(request)
        left = _left(pipeline, str(says.get("key", "")))
        stayed = _exactly(pipeline, left.into)
        about = _about(left, stayed, says) | {"who": operator, "why": why_of(says)}
        seq = await act(pipeline, now_ms, Op.SPLIT, left.entity, about)
        after = pipeline.store.records([left.key])[left.key]
        if after.into:
            raise _changed(stayed.key)
        return reply({"stays": stayed.key, "leaves": left.key, "deleted": after.deleted, "event": seq})

    return [
        Command(what="records.merge", answer=merged, description="Two records are one, with why"),
        Command(what="records.split", answer=split, description="Takes two apart again, with why"),
    ]


def _about(record: Record, other: Record, says: Mapping[str, Any]) -> dict[str, object]:
    """The two records, and which state of them the person saw: as they are, if nothing else is said."""
    return {
        "key": record.key,
        "other": other.key,
        "looked_at": int(says.get("looked_at", record.rev)),
        "other_looked_at": int(says.get("other_looked_at", other.rev)),
    }


def _no_merge(stays: Record, leaves: Record) -> str:
    if stays.entity != leaves.entity:
        return f"{leaves.key}: {stays.key} is another kind of thing (expected two records of one entity)"
    if stays.key == leaves.key:
        return f"{stays.key}: given twice (expected another record)"
    if stays.deleted:
        return f"{stays.key}: it is deleted, so it cannot stay (expected one that is there first)"
    return ""


def _exactly(pipeline: Pipeline, key: str) -> Record:
    """The record of that key, and not one that it was made one with. Raises BusError."""
    known_entity(pipeline, key)
    record = record_of(pipeline, key)
    if record.key != key:
        raise BusError(
            f"{key}: it is one with {record.key}. Take it apart first: yellowbus records split {key}"
        )
    return record


def _left(pipeline: Pipeline, key: str) -> Record:
    known_entity(pipeline, key)
    found = pipeline.store.records([key]).get(key)
    if found is None or not found.into:
        raise BusError(f"{key}: it is not one with another record. See: yellowbus explain {key}")
    return found


def _changed(key: str) -> BusError:
    return BusError(f"{key} has changed since. Nothing was done. Look again: yellowbus explain {key}")
