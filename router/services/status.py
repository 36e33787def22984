"""How it stands: `status` and `reads`. They only read what is at hand, and never make the flow wait."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from bus.errors import BusError
from bus.services import Command
from router.delivery.standing import hindrance, parts
from router.delivery.worker import Worker
from router.pipeline import Pipeline
from router.replay.newcomers import is_offered
from router.services.asking import asked, reply
from router.sources.listening import ListenerRunner
from router.sources.runner import SourceRunner

READS_MAX: Final = 200


def commands(pipeline: Pipeline, now_ms: Callable[[], int]) -> list[Command]:
    """What answers `status` and `reads`."""

    async def status(operator: str, request: bytes) -> bytes:
        return reply(status_of(pipeline, now_ms()))

    async def reads(operator: str, request: bytes) -> bytes:
        says = asked(request)
        system, most = str(says.get("system", "")), min(int(says.get("most", 20)), READS_MAX)
        if system and system not in pipeline.sources:
            known = ", ".join(pipeline.sources) or "none"
            raise BusError(f"reads: {system!r} is no source here (expected one of: {known})")
        chosen = [system] if system else list(pipeline.sources)
        found = [
            {"system": name, **asdict(read)} for name in chosen for read in pipeline.sources[name].reads(most)
        ]
        found.sort(key=lambda read: -read["started_ms"])
        return reply({"timezone": pipeline.district.timezone, "reads": found})

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
                "mode": worker.mode,
                "paused": _paused(pipeline, name),
                "backfill_offered": is_offered(pipeline.store, name),
                "states": {
                    state.value: part._asdict()
                    for state, part in parts(pipeline.store, worker, at_ms).items()
                },
                "hindered": _hindered(worker, at_ms),
                "next_ms": worker.gate.next_ms(at_ms),
                "waiting": work[name][0],
                "retrying": work[name][1],
                "waits_for": _waits_for(pipeline, name),
                "failed": pipeline.store.read("failure_count", name)[0][0],
                "oldest_ms": work[name][2] or 0,
                "unreachable": worker.unreachable,
                "breaker": worker.outage.state(at_ms).value,
                "unreachable_since_ms": worker.outage.breaker.since_ms,
                "tried_again_ms": worker.outage.breaker.until_ms,
                "held": worker.alarms.held.removeprefix("are held: "),
                "outcomes": worker.outcomes,
                "last_delivery_ms": worker.last_delivery_ms,
                "marked_seq": pipeline.markers[name].seq,
            }
            for name, worker in pipeline.workers.items()
        },
    }


def _paused(pipeline: Pipeline, name: str) -> dict[str, Any] | None:
    """By whom, since when and until when (0: until resumed), why; None: it is not."""
    pause = pipeline.pauses.of(name)
    return pause.entries() if pause else None


def _hindered(worker: Worker, at_ms: int) -> dict[str, Any] | None:
    """Why nothing goes there, whatever is ready; None: it goes."""
    found = hindrance(worker, at_ms)
    return found._asdict() if found else None


def _waits_for(pipeline: Pipeline, name: str) -> dict[str, dict[str, int]]:
    """By destination how many records wait until it has something, and since when the first."""
    found = pipeline.store.read("waits", name)
    return {awaits: {"records": count, "since_ms": since_ms} for awaits, count, since_ms in found}


def _source(runner: SourceRunner | ListenerRunner) -> dict[str, Any]:
    last = next(iter(runner.reads(1)), None)
    return {
        "published": runner.published,
        "unreachable": runner.unreachable,
        "last_read": asdict(last) if last else None,
        "heard": _heard(runner) if isinstance(runner, ListenerRunner) else None,
    }


def _heard(runner: ListenerRunner) -> dict[str, int]:
    """What a source that speaks by itself has said since the router's start."""
    return {
        "last_ms": runner.last_heard_ms,
        "duplicates": runner.duplicates,
        "unwanted": runner.unwanted,
    }
