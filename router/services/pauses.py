"""`pause` and `resume`: a person lets nothing go to a destination for a time."""

from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from bus.durations import seconds
from bus.errors import BusError
from bus.services import Command
from router.core.pause import OPEN_END_MS
from router.pipeline import Pipeline
from router.replay.window import moment_ms
from router.services.acts import why_of
from router.services.asking import asked, reply


def commands(pipeline: Pipeline, now_ms: Callable[[], int]) -> list[Command]:
    """What answers `pause` and `resume`."""

    async def paused(operator: str, request: bytes) -> bytes:
        says = asked(request)
        system, why = _system(pipeline, says, "pause"), why_of(says)
        until_ms = _until_ms(says, ZoneInfo(pipeline.district.timezone), now_ms())
        pause = await pipeline.pauses.pause(system, until_ms, operator, why)
        return _answer(pipeline, system, pause=pause.entries())

    async def resumed(operator: str, request: bytes) -> bytes:
        says = asked(request)
        system, why = _system(pipeline, says, "resume"), why_of(says)
        await pipeline.pauses.resume(system, operator, why)
        return _answer(pipeline, system)

    return [
        Command(what="pause", answer=paused, description="Send a destination nothing for a time, with why"),
        Command(what="resume", answer=resumed, description="Let what waits go there again, with why"),
    ]


def _answer(pipeline: Pipeline, system: str, **entries: Any) -> bytes:
    waiting = pipeline.store.read("work_count", system)[0][0]
    return reply({"timezone": pipeline.district.timezone, "system": system, "waiting": waiting, **entries})


def _system(pipeline: Pipeline, says: Mapping[str, Any], what: str) -> str:
    system = str(says.get("system", ""))
    if system not in pipeline.workers and not (what == "resume" and pipeline.pauses.of(system)):
        known = ", ".join(pipeline.workers) or "none"
        raise BusError(f"{what}: {system!r} is no destination here (expected one of: {known})")
    return system


def _until_ms(says: Mapping[str, Any], zone: ZoneInfo, now_ms: int) -> int:
    """When it ends; 0: when it is resumed. Raises BusError."""
    for_, until = str(says.get("for", "")), str(says.get("until", ""))
    if for_ and until:
        raise BusError("pause: until when? (expected --for 2h, or --until, or neither)")
    if not for_ and not until:
        return 0
    try:
        until_ms = now_ms + int(seconds(for_) * 1000) if for_ else moment_ms(until, zone, late=True)
    except ValueError as error:
        raise BusError(f"for: {for_!r} is {error}") from None
    if until_ms <= now_ms:
        raise BusError("pause: it would be over already. Nothing was done")
    if until_ms >= OPEN_END_MS:
        raise BusError("pause: that is too far off (expected neither --for nor --until: until it is resumed)")
    return until_ms
