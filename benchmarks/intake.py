"""Intake alone: EVENTS is full, every event is a change, every write is synced; no source, no destination.

python -m benchmarks intake
"""

import asyncio
import gc
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import uvloop

from bus import subjects
from bus.codec import encode_event
from bus.embedded import embedded
from bus.jetstream import JetStream
from bus.messages import Event, Op
from bus.port import Message
from router.core.rules import District, EntityRule, FieldRule, Guards, SystemRule, Type
from router.daemon import tune, world_of
from router.pipeline import Pipeline, build

FIELDS: Final = 21
"""As many as the example's student has."""
STUDENTS: Final = 20_000
MANY_FIELDS: Final = (5, 20, 80)
FEWER: Final = 8_000
FLOOR: Final = 10_000
PAGE: Final = 4_000

Row = dict[str, Any]


def run() -> list[Row]:
    """Measure; one row per figure."""
    created, edited = _measured(FIELDS, STUDENTS)
    rows = [
        _row(
            "intake: all are changes", edited, FLOOR, f"{STUDENTS:,} students of {FIELDS} fields, one edited"
        ),
        _row("intake: all are new", created, FLOOR, ""),
    ]
    for fields in MANY_FIELDS:
        _, rate = _measured(fields, FEWER)
        rows.append(_row(f"intake: all are changes, {fields} fields", rate, 0, ""))
    return rows


def _row(name: str, rate: float, floor: float, of: str) -> Row:
    return {"name": name, "value": rate, "unit": "events/s", "floor": floor, "below": rate < floor, "of": of}


def _measured(fields: int, students: int) -> tuple[float, float]:
    """Events a second: of new records, and of one field changed in each of them."""
    with (
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_both(Path(folder), fields, students))


async def _both(folder: Path, fields: int, students: int) -> tuple[float, float]:
    tune()
    async with embedded(folder / "nats") as address, JetStream.connect(address) as bus:
        await bus.provision(replicas=1)
        async with build(_district(fields), world_of(bus, folder), 1) as pipeline:
            await pipeline.intake.catch_up()
            created = await _rate(bus, pipeline, _events(fields, students, 0))
            edited = await _rate(bus, pipeline, _events(fields, students, 1))
            return created, edited


async def _rate(bus: JetStream, pipeline: Pipeline, messages: Sequence[Message]) -> float:
    """EVENTS is filled; then intake follows it to its end, audit included."""
    for start in range(0, len(messages), PAGE):
        await bus.publish(subjects.EVENTS, messages[start : start + PAGE])
    last = (await bus.info(subjects.EVENTS)).last_seq
    gc.collect()
    begun_s = time.perf_counter()
    telling = asyncio.ensure_future(pipeline.outbox.run())
    deciding = asyncio.ensure_future(pipeline.intake.follow())
    await pipeline.store.reached("events", last)
    await pipeline.outbox.settle()
    took_s = time.perf_counter() - begun_s
    for task in (deciding, telling):
        task.cancel()
        await asyncio.wait([task])
    return len(messages) / took_s


def _district(fields: int) -> District:
    named = {f"f{n}": FieldRule(name=f"f{n}", type=Type.TEXT, owner="sis") for n in range(fields)}
    return District(
        name="benchmark",
        timezone="UTC",
        key=b"the district's key",
        nats_url="",
        nats_credentials="",
        replicas=1,
        guards=Guards(),
        entities={"student": EntityRule(name="student", owner="sis", fields=named)},
        systems={"sis": SystemRule(name="sis", title="", file="", source=None)},
        digest="1",
    )


def _events(fields: int, students: int, turn: int) -> list[Message]:
    subject = subjects.event("sis", "student", Op.UPDATE)
    messages = []
    for number in range(students):
        values = {f"f{n}": f"value {n} of {number}" for n in range(fields)} | {
            "f1": f"edit {turn} of {number}"
        }
        id_ = f"sis.{turn}.{number}"
        event = Event(id_, "sis", "student", Op.UPDATE, str(number), values, True, 1 + turn)
        messages.append(Message(subject, encode_event(event), id_))
    return messages
