"""`plan`: what a file on the router's machine would do, without doing it; and its records, page by page."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from bus.errors import BusError
from bus.services import Command
from router.core.rules import SystemRule
from router.pipeline import Pipeline
from router.services.asking import asked, reply
from router.sources.runner import SourceRunner
from router.trial import Planned, Trial, try_file

ROWS_AT_ONCE: Final = 2_000


def commands(pipeline: Pipeline, now_ms: Callable[[], int]) -> list[Command]:
    """What answers `plan` and `plan.rows`."""
    turn = asyncio.Lock()  # each needs as much memory as a reading
    newest: dict[str, tuple[Planned, ...]] = {}

    async def planned(operator: str, request: bytes) -> bytes:
        says = asked(request)
        system = _system(pipeline, str(says.get("system", "")))
        async with turn:
            path, rows = Path(str(says.get("path", ""))), bool(says.get("rows"))
            trial = await try_file(pipeline, system, path, rows=rows)
            newest.clear()
            newest[operator] = trial.rows
        return reply({"timezone": pipeline.district.timezone, "system": system.name, **_entries(trial)})

    async def listed(operator: str, request: bytes) -> bytes:
        if operator not in newest:
            raise BusError("plan.rows: somebody else has planned a file meanwhile. Ask for the plan again")
        offset = int(asked(request).get("offset", 0))
        rows = newest[operator][offset : offset + ROWS_AT_ONCE]
        return reply({"rows": rows, "left": max(len(newest[operator]) - offset - len(rows), 0)})

    return [
        Command(what="plan", answer=planned, description="What a file would do, without doing it"),
        Command(what="plan.rows", answer=listed, description="The records of your last plan; no values"),
    ]


def _system(pipeline: Pipeline, name: str) -> SystemRule:
    """The source that is meant: with one that reads files it need not be said. Raises BusError."""
    systems = pipeline.district.systems
    reads = [
        each
        for each, runner in pipeline.sources.items()
        if isinstance(runner, SourceRunner) and (rule := systems[each].source) and "folder" in rule.settings
    ]
    if not name and len(reads) == 1:
        return systems[reads[0]]
    if name not in reads:
        known = ", ".join(reads) or "none"
        what = f"{name!r} is no source that reads files" if name else "which source's file? Add --system"
        raise BusError(f"system: {what} (expected one of: {known})")
    return systems[name]


def _entries(trial: Trial) -> Mapping[str, Any]:
    held = {each.cell: each for each in trial.held}
    depends = dict(trial.depends)
    read = trial.read
    return {
        "name": read.name,
        "full": read.full,
        "rows": read.rows,
        "set_aside": read.set_aside,
        "remarks": read.remarks,
        "refused": trial.refused,
        "cells": [
            {
                "entity": cell.entity,
                "school": cell.school,
                "op": cell.op,
                "records": count,
                "held": count if cell in held else depends.get(cell, 0),
                "reason": held[cell].reason if cell in held else "",
            }
            for cell, count in sorted(trial.counts.items())
        ],
    }
