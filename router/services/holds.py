"""`holds`: what guards have stopped, of sources' plans and at destinations; approve or discard it."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from bus.errors import BusError
from bus.services import Command
from router.core.holds import Hold, Selection
from router.core.limits import NOUNS, Cell, HeldCell
from router.pipeline import Pipeline
from router.services.acts import why_of
from router.services.asking import asked, reply
from router.sources.holds import counts_of
from router.sources.runner import SourceRunner

MOST: Final = 200
NAMES_MAX: Final = 2_000
OPS: Final = (*NOUNS,)


def commands(pipeline: Pipeline, now_ms: Callable[[], int]) -> list[Command]:
    """What answers `holds.list`, `holds.show`, `holds.approve` and `holds.discard`."""

    async def listed(operator: str, request: bytes) -> bytes:
        says = asked(request)
        most = min(int(says.get("most", 20)), MOST)
        found = [hold for runner in _runners(pipeline) for hold in runner.holds.listed(most)]
        if not says.get("all"):
            found = [hold for hold in found if hold.is_open]
        found.sort(key=lambda hold: -hold.since_ms)
        return _answer(
            pipeline, holds=[_entry(hold) for hold in found[:most]], destinations=_destinations(pipeline)
        )

    async def shown(operator: str, request: bytes) -> bytes:
        says = asked(request)
        runner, hold = _found(pipeline, says)
        names = []
        if says.get("names") and runner.holds.newest() == hold:
            most = min(int(says.get("most", 200)), NAMES_MAX)
            names = [
                {**_cell(cell), "local_id": local_id}
                for cell, local_id in runner.holds.names(_selection(says), most, int(says.get("offset", 0)))
            ]
        return _answer(pipeline, hold=_whole(hold), names=names)

    async def approved(operator: str, request: bytes) -> bytes:
        says = asked(request)
        runner, hold = _found(pipeline, says)
        after = await runner.approve(
            hold.id, str(says.get("hash", "")), _selection(says), operator, why_of(says)
        )
        return _answer(pipeline, hold=_whole(after), records=after.acts[-1].records)

    async def discarded(operator: str, request: bytes) -> bytes:
        says = asked(request)
        runner, hold = _found(pipeline, says)
        after = await runner.discard(hold.id, _selection(says), operator, why_of(says))
        return _answer(pipeline, hold=_whole(after), records=after.acts[-1].records)

    return [
        Command(what="holds.list", answer=listed, description="What guards hold, newest first"),
        Command(what="holds.show", answer=shown, description="One hold: counts, limits, records' ids"),
        Command(what="holds.approve", answer=approved, description="Let a hold or a part of it go, with why"),
        Command(what="holds.discard", answer=discarded, description="Drop a hold or a part of it, with why"),
    ]


def _answer(pipeline: Pipeline, **entries: Any) -> bytes:
    return reply({"timezone": pipeline.district.timezone, **entries})


def _runners(pipeline: Pipeline) -> list[SourceRunner]:
    return [each for each in pipeline.sources.values() if isinstance(each, SourceRunner)]


def _found(pipeline: Pipeline, says: Mapping[str, Any]) -> tuple[SourceRunner, Hold]:
    id_ = str(says.get("id", ""))
    for runner in _runners(pipeline):
        for hold in runner.holds.listed(MOST):
            if hold.id == id_:
                return runner, hold
    raise BusError(f"{id_}: there is no such hold. See: yellowbus holds list")


def _selection(says: Mapping[str, Any]) -> Selection:
    op = str(says.get("op", ""))
    if op and op not in OPS:
        raise BusError(f"op: {op!r} is no operation (expected one of: {', '.join(OPS)})")
    return Selection(str(says.get("school", "")), str(says.get("entity", "")), op)


def _entry(hold: Hold) -> dict[str, Any]:
    """A hold in a list: counts, no cells."""
    return {
        "id": hold.id,
        "system": hold.system,
        "kind": hold.kind,
        "state": hold.state,
        "read": hold.read,
        "name": hold.name,
        "hash": hold.hash,
        "since_ms": hold.since_ms,
        "expires_ms": hold.expires_ms,
        "counts": counts_of(hold),
        "depends": sum(count for _, count in hold.depends),
        "reasons": list(dict.fromkeys(each.why for each in hold.cells)),
    }


def _whole(hold: Hold) -> dict[str, Any]:
    return {
        **_entry(hold),
        "cells": [_held_cell(each) for each in hold.cells],
        "depending": [{**_cell(cell), "records": count} for cell, count in hold.depends],
        "acts": [act._asdict() for act in hold.acts],
    }


def _held_cell(each: HeldCell) -> dict[str, Any]:
    return {
        **_cell(each.cell),
        "records": each.records,
        "population": each.population,
        "why": each.why,
        "most": each.most,
        "reason": each.reason,
        "state": each.state,
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {"entity": cell.entity, "school": cell.school, "op": cell.op}


def _destinations(pipeline: Pipeline) -> list[dict[str, Any]]:
    """What limits at destinations hold: it goes by itself when there is room, or when the limit is raised."""
    found = []
    for name, worker in pipeline.workers.items():
        if work := list(worker.alarms.held_work.values()):
            counts = Counter(each.op.value for each in work)
            found.append(
                {
                    "system": name,
                    "counts": dict(counts),
                    "since_ms": min(each.since_ms for each in work),
                    "reason": worker.alarms.held.removeprefix("are held: "),
                }
            )
    return found
