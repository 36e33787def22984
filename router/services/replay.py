"""`replay`, `backfill`: a window of time, or all there is, to one destination; see it, start it, end it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

from bus.errors import BusError
from bus.services import Command
from router.core.jobs import OPEN, Job, Kind
from router.delivery.standing import hindrance
from router.delivery.worker import Worker
from router.modes import LIVE
from router.pipeline import Pipeline
from router.replay.finding import counted, members_of, pace_of
from router.replay.jobs import LISTED_MAX, Standing
from router.replay.kept import KEPT_DAYS, POSITION, first_seq_at
from router.replay.window import window
from router.services.acts import known_entity, record_of, why_of
from router.services.asking import asked, reply

LOOKED_MAX: Final = 2
"""Previews at the same time: each takes the time of others."""


def commands(pipeline: Pipeline, now_ms: Callable[[], int]) -> list[Command]:
    """What answers `replay.preview`, `.start`, `.list`, `.show`, `.pause`, `.resume` and `.cancel`."""
    looking = asyncio.Semaphore(LOOKED_MAX)
    jobs = pipeline.jobs

    async def previewed(operator: str, request: bytes, kind: Kind = Kind.REPLAY) -> bytes:
        says = asked(request)
        job = await _wanted(pipeline, kind, says, operator, now_ms())
        async with looking:
            counts = await counted(pipeline.store, job, await members_of(pipeline.store, job))
        rule = pipeline.district.systems[job.system].destination
        pace = pace_of(pipeline.store, job.system, (job.rate_per_s, rule.rate_per_s if rule else 0.0))
        at_work = jobs.at_work(job.system)
        return _answer(
            pipeline,
            job=job.entries(),
            counts=counts._asdict(),
            pace_per_s=pace,
            at_work=at_work.job.id if at_work else "",
        )

    async def started(operator: str, request: bytes, kind: Kind = Kind.REPLAY) -> bytes:
        says = asked(request)
        why = why_of(says)
        job = await _wanted(pipeline, kind, says, operator, now_ms())
        job = await jobs.start(job._replace(why=why))
        return _answer(pipeline, **_entry(pipeline, jobs.found(job.id)))

    async def listed(operator: str, request: bytes) -> bytes:
        says = asked(request)
        system, most = str(says.get("system", "")), min(int(says.get("most", 20)), LISTED_MAX)
        found = [each for each in jobs.listed() if system in ("", each.job.system)]
        return _answer(pipeline, jobs=[_entry(pipeline, each) for each in found[:most]])

    async def shown(operator: str, request: bytes) -> bytes:
        return _answer(pipeline, **_entry(pipeline, jobs.found(_id(asked(request)))))

    async def paused(operator: str, request: bytes) -> bytes:
        says = asked(request)
        job = await jobs.pause(_id(says), operator, why_of(says))
        return _answer(pipeline, **_entry(pipeline, jobs.found(job.id)))

    async def resumed(operator: str, request: bytes) -> bytes:
        says = asked(request)
        job = await jobs.resume(_id(says), operator, why_of(says))
        return _answer(pipeline, **_entry(pipeline, jobs.found(job.id)))

    async def cancelled(operator: str, request: bytes) -> bytes:
        says = asked(request)
        job = await jobs.cancel(_id(says), operator, why_of(says))
        return _answer(pipeline, **_entry(pipeline, jobs.found(job.id)))

    all_previewed = partial(previewed, kind=Kind.BACKFILL)
    all_started = partial(started, kind=Kind.BACKFILL)
    compared = partial(started, kind=Kind.COMPARE)
    return [
        Command(what="compare.start", answer=compared, description="Read back what a destination has"),
        Command(what="backfill.preview", answer=all_previewed, description="What a backfill would send"),
        Command(what="backfill.start", answer=all_started, description="All records there are, with why"),
        Command(what="replay.preview", answer=previewed, description="What a replay would send, counted"),
        Command(what="replay.start", answer=started, description="A window once more, with who and why"),
        Command(what="replay.list", answer=listed, description="Jobs, the newest first, how far each is"),
        Command(what="replay.show", answer=shown, description="One job: what was asked, how far it is"),
        Command(what="replay.pause", answer=paused, description="Put no more records of it, with why"),
        Command(what="replay.resume", answer=resumed, description="Let it go on where it stopped, with why"),
        Command(what="replay.cancel", answer=cancelled, description="End it before its end, with why"),
    ]


def _answer(pipeline: Pipeline, **entries: Any) -> bytes:
    return reply({"timezone": pipeline.district.timezone, **entries})


def _id(says: Mapping[str, Any]) -> str:
    return str(says.get("id", ""))


def _entry(pipeline: Pipeline, found: Standing) -> dict[str, Any]:
    """A job, and how far it is."""
    open_, id_ = found.job.state in OPEN, found.job.id
    worker = pipeline.workers.get(found.job.system)
    return {
        "job": found.job.entries(),
        "put": found.put,
        "records": found.total,
        "waiting": pipeline.jobs.waiting(id_) if open_ else 0,
        "outcomes": pipeline.jobs.outcomes(id_),
        "changed_ms": found.changed_ms,
        "report": pipeline.jobs.report(id_),
        "hindered": _hindered(pipeline, worker) if open_ else "",
    }


def _hindered(pipeline: Pipeline, worker: Worker | None) -> str:
    """Why what it puts is not sent now, or ''."""
    if worker is None:
        return "its destination is not configured"
    found = hindrance(worker, pipeline.world.now_ms())
    return found.why if found else worker.unreachable


async def _wanted(pipeline: Pipeline, kind: Kind, says: Mapping[str, Any], who: str, at_ms: int) -> Job:
    """The job that a request asks for, bounded now. Raises BusError."""
    system = str(says.get("system", ""))
    if system not in pipeline.workers:
        known = ", ".join(pipeline.workers) or "none"
        raise BusError(f"{kind}: {system!r} is no destination here (expected one of: {known})")
    worker, force = pipeline.workers[system], bool(says.get("force"))
    if kind is Kind.COMPARE:
        _may_be_compared(pipeline, system, says)
    if force and worker.mode != LIVE:
        raise BusError(
            f"{system}: its mode is {worker.mode}: --force would send nothing. See: yellowbus adopt"
        )
    is_window = kind is Kind.REPLAY
    from_ms, until_ms = _bounds(pipeline, says, at_ms) if is_window else (0, at_ms)
    rate = says.get("rate_per_s", 0)
    if not isinstance(rate, int | float) or rate < 0:
        raise BusError("rate: expected a number, as in 5/s")
    record = str(says.get("record", ""))
    if record:
        known_entity(pipeline, record)
        record = record_of(pipeline, record).key
    return Job(
        "",
        kind,
        system,
        from_ms,
        until_ms,
        await first_seq_at(pipeline.bus, from_ms) if is_window else 1,
        await first_seq_at(pipeline.bus, until_ms) - 1 if is_window else pipeline.store.position("changes"),
        _entities(worker.listed if kind is Kind.COMPARE else [*worker.routes], says, system),
        record,
        force,
        float(rate),
        who,
        str(says.get("why", "")),
        at_ms,
    )


def _may_be_compared(pipeline: Pipeline, system: str, says: Mapping[str, Any]) -> None:
    worker, rule = pipeline.workers[system], pipeline.district.systems[system].destination
    if not worker.listed:
        adapter = rule.adapter if rule else ""
        what = f"{system}: {adapter} cannot list what it has, as it is configured, so it cannot be compared"
        raise BusError(what)
    if wrong := [
        each for each in map(str, says.get("entities") or ()) if each in {*worker.routes} - {*worker.listed}
    ]:
        raise BusError(f"{system}: {wrong[0]} cannot be listed there, so it cannot be compared")
    if worker.mode != LIVE:
        raise BusError(f"{system}: its mode is {worker.mode}. See: yellowbus adopt")


def _bounds(pipeline: Pipeline, says: Mapping[str, Any], at_ms: int) -> tuple[int, int]:
    """As a person has written them, or in milliseconds as a preview has said them."""
    if "from_ms" in says:
        from_ms, until_ms = int(says["from_ms"]), min(int(says.get("until_ms", at_ms)), at_ms)
    else:
        from_ms, until_ms = window(says, ZoneInfo(pipeline.district.timezone), at_ms)
    if from_ms < (kept_ms := pipeline.store.position(POSITION)):
        raise BusError(
            f"replay: what happened longer ago is not kept ({KEPT_DAYS} days). It can serve from"
            f" {_kept_text(kept_ms, pipeline.district.timezone)} on",
            runbook="replay",
        )
    return from_ms, until_ms


def _kept_text(at_ms: int, timezone: str) -> str:
    """The next full minute, as one may write it after --from."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC) + timedelta(seconds=59)
    return at.astimezone(ZoneInfo(timezone)).isoformat(timespec="minutes")


def _entities(there: Sequence[str], says: Mapping[str, Any], system: str) -> tuple[str, ...]:
    wanted = [str(each) for each in says.get("entities") or there]
    if wrong := [each for each in wanted if each not in there]:
        raise BusError(f"{system}: it is not told of {wrong[0]} (expected some of: {', '.join(there)})")
    return tuple(sorted(wanted))
