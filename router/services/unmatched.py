"""`unmatched`: what a system says of something that is no record, or could be several."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from bus.codec import decode_event
from bus.errors import BusError
from bus.messages import Op
from bus.services import Command
from router.pipeline import Pipeline
from router.services.acts import act, known_entity, record_of, why_of
from router.services.asking import asked, reply

MOST: Final = 200


def commands(pipeline: Pipeline, now_ms: Callable[[], int]) -> list[Command]:
    """What answers `unmatched.list`, `unmatched.link` and `unmatched.dismiss`."""

    async def listed(operator: str, request: bytes) -> bytes:
        says = asked(request)
        most = min(int(says.get("most", 50)), MOST)
        query = "dismissed" if says.get("dismissed") else "unmatched"
        rows = pipeline.store.read(query, str(says.get("system", "")), most, int(says.get("offset", 0)))
        linked = pipeline.store.links([(row[0], row[1], row[2]) for row in rows])
        entries = [
            {
                "system": system,
                "entity": entity,
                "local_id": local_id,
                "event": seq,
                "at_ms": at_ms,
                "candidates": json.loads(candidates),
                "linked": linked.get((system, entity, local_id), ""),
                "fields": sorted(decode_event(body).fields),
            }
            for system, entity, local_id, seq, at_ms, candidates, body in rows
        ]
        ((count,),) = pipeline.store.read("unmatched_count")
        return reply({"timezone": pipeline.district.timezone, "count": count, "unmatched": entries})

    async def linked(operator: str, request: bytes) -> bytes:
        says = asked(request)
        key = str(says.get("key", ""))
        entity, about = known_entity(pipeline, key), _about(pipeline, says)
        record = record_of(pipeline, key)
        key = record.key
        about |= {"key": key, "looked_at": int(says.get("looked_at", record.rev)), "who": operator}
        op = Op.UNLINK if says.get("unlink") else Op.LINK
        seq = await act(pipeline, now_ms, op, entity, about)
        after = record_of(pipeline, key)
        system, local_id = str(about["system"]), str(about["local_id"])
        is_linked = local_id in (after.links.get(system), *after.aliases.get(system, ()))
        if is_linked != (op is Op.LINK):
            raise BusError(f"{key} has changed since. Nothing was done. Look again: yellowbus unmatched list")
        return reply({"key": key, "system": system, "local_id": local_id, "event": seq})

    async def dismissed(operator: str, request: bytes) -> bytes:
        says = asked(request)
        undo = bool(says.get("undo"))
        about = _about(pipeline, says) | {"who": operator, "undo": undo}
        entity = str(says.get("entity", ""))
        if entity not in pipeline.district.entities:
            raise BusError(f"entity: {entity!r} is none here. See: yellowbus unmatched list")
        query, how = ("dismissed_body", "is dismissed") if undo else ("unmatched_body", "waits unmatched")
        if not pipeline.store.read(query, about["system"], entity, about["local_id"]):
            raise BusError(f"{about['system']}:{about['local_id']}: no {entity} of that id {how}")
        seq = await act(pipeline, now_ms, Op.DISMISS, entity, about)
        return reply({"system": about["system"], "local_id": about["local_id"], "event": seq})

    return [
        Command(what="unmatched.list", answer=listed, description="What matches no record, or several"),
        Command(
            what="unmatched.link", answer=linked, description="Link a system's id with a record, with why"
        ),
        Command(what="unmatched.dismiss", answer=dismissed, description="It is to be no record, with why"),
    ]


def _about(pipeline: Pipeline, says: Mapping[str, Any]) -> dict[str, object]:
    system, local_id = str(says.get("system", "")), str(says.get("local_id", ""))
    if system not in pipeline.district.systems:
        raise BusError(f"system: {system!r} is none here (one of: {', '.join(pipeline.district.systems)})")
    if not local_id:
        raise BusError("local_id: nothing given (expected the system's own id)")
    return {"system": system, "local_id": local_id, "why": why_of(says)}
