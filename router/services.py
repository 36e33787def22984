"""What can be asked of the router: micro services on `cmd.<operator>.<what>`, answered in JSON.

A handler only reads what is at hand; it never makes the flow wait.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

from bus.errors import BusError
from bus.services import Command
from router.pipeline import Pipeline
from router.sources.runner import SourceRunner

READS_MAX: Final = 200
VERSION: Final = 1


def commands(pipeline: Pipeline, now_ms: Callable[[], int]) -> list[Command]:
    """All that this router answers."""

    async def status(operator: str, request: bytes) -> bytes:
        return _reply(status_of(pipeline, now_ms()))

    async def reads(operator: str, request: bytes) -> bytes:
        asked = _asked(request)
        system, most = str(asked.get("system", "")), min(int(asked.get("most", 20)), READS_MAX)
        if system and system not in pipeline.sources:
            known = ", ".join(pipeline.sources) or "none"
            raise BusError(f"reads: {system!r} is no source here (expected one of: {known})")
        chosen = [system] if system else list(pipeline.sources)
        found = [
            {"system": name, **asdict(read)} for name in chosen for read in pipeline.sources[name].reads(most)
        ]
        found.sort(key=lambda read: -read["started_ms"])
        return _reply({"timezone": pipeline.district.timezone, "reads": found})

    return [
        Command(what="status", answer=status, description="Each system: state, last event, work, outcomes"),
        Command(what="reads", answer=reads, description="What sources read lately, and what became of it"),
    ]


def status_of(pipeline: Pipeline, at_ms: int) -> dict[str, Any]:
    """How it stands: one entry for each system, plain values."""
    work = {name: pipeline.store.read("work_count", name)[0] for name in pipeline.workers}
    return {
        "district": pipeline.district.name,
        "timezone": pipeline.district.timezone,
        "at_ms": at_ms,
        "events": pipeline.store.position("events"),
        "changes": pipeline.store.position("changes"),
        "outbox": pipeline.outbox.waiting,
        "sources": {name: _source(runner) for name, runner in pipeline.sources.items()},
        "destinations": {
            name: {
                "waiting": work[name][0],
                "retrying": work[name][1],
                "oldest_ms": work[name][2] or 0,
                "unreachable": worker.unreachable,
                "held": worker.held.removeprefix("are held: "),
                "outcomes": worker.outcomes,
                "last_delivery_ms": worker.last_delivery_ms,
                "marked_seq": pipeline.markers[name].seq,
            }
            for name, worker in pipeline.workers.items()
        },
    }


def _source(runner: SourceRunner) -> dict[str, Any]:
    last = next(iter(runner.reads(1)), None)
    return {
        "published": runner.published,
        "unreachable": runner.unreachable,
        "last_read": asdict(last) if last else None,
    }


def _asked(request: bytes) -> Mapping[str, Any]:
    if not request:
        return {}
    try:
        asked = json.loads(request)
    except ValueError:
        raise BusError("request: not JSON (expected an object)") from None
    if not isinstance(asked, dict):
        raise BusError("request: not an object (expected a JSON object)")
    return asked


def _reply(entries: Mapping[str, Any]) -> bytes:
    return json.dumps({"version": VERSION, **entries}).encode()
