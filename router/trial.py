"""What a file would do if it came now: by the production path, on a copy of the source's shelf.

Nothing is published, and the source that runs is not disturbed: file and shelf are copied into a folder that
goes again at the end. The same staging, guards and limits, against the same last good read.
"""

import asyncio
import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from bus.adapter import Reading, Source, Surroundings
from bus.codec import decode_event
from bus.errors import BusError, Refused
from bus.messages import Event, Op
from router.core.identity import named, references, resolve
from router.core.limits import Cell, HeldCell
from router.core.rules import SourceRule, SystemRule
from router.core.shapes import source_shape
from router.pipeline import Pipeline, planning_of
from router.sources.dependencies import pages
from router.sources.judging import Judged
from router.sources.runner import Waiting
from router.sources.shelf import QUERIES, Read, Shelf

OPENED_WITHIN_S: Final = 20.0


class _NothingNow(Exception):
    """A source would wait for news: then it has not taken up what lies there."""


class Planned(NamedTuple):
    """One record of a plan. `fields`: of an update, where it differs from the record as the hub has it."""

    op: str
    school: str
    entity: str
    local_id: str
    held: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a file would do. `refused`: why nothing of it would be taken. `held` and `depends`: what of
    `counts` would wait.
    """

    read: Read
    refused: tuple[str, ...] = ()
    counts: Mapping[Cell, int]
    held: tuple[HeldCell, ...] = ()
    depends: tuple[tuple[Cell, int], ...] = ()
    rows: tuple[Planned, ...] = ()


async def try_file(pipeline: Pipeline, system: SystemRule, path: Path, *, rows: bool) -> Trial:
    """See what a file would do; with `rows` record by record, too. Raises BusError if it cannot be read."""
    rule = system.source
    if rule is None or "folder" not in rule.settings:
        raise BusError(f"{system.name}: it is not read from a folder of files, so no file can be tried")
    with tempfile.TemporaryDirectory(prefix="plan-", dir=pipeline.world.state) as folder:
        place, shelf = Path(folder), pipeline.world.state / "sources" / f"{system.name}.sqlite"
        await asyncio.to_thread(_lay_out, place, path, shelf)
        async with (
            pipeline.world.open_database(place / "shelf.sqlite", QUERIES["schema"]) as database,
            _reading(pipeline, system, rule, place, path.name) as reading,
        ):
            return await _tried(pipeline, system.name, rule, Shelf(database), reading, rows=rows)


def _lay_out(place: Path, path: Path, shelf: Path) -> None:
    """Copies of the file, as new and said to be whole, and of the shelf. Raises BusError."""
    (place / "in").mkdir()
    (place / "adapter").mkdir()
    try:
        if not path.is_absolute() or not path.is_file():
            raise FileNotFoundError(path)
        shutil.copyfile(path, place / "in" / path.name)
    except OSError as error:
        why = error.strerror or "it is not there, or it is no file"
        raise BusError(
            f"{path}: {why} (expected a file on the router's own machine, by its absolute path)"
        ) from None
    (place / "in" / f"{path.name}.done").touch()
    with (
        contextlib.closing(sqlite3.connect(shelf)) as old,
        contextlib.closing(sqlite3.connect(place / "shelf.sqlite")) as new,
    ):
        old.backup(new)


async def _no_sleep(delay_s: float, /) -> None:
    raise _NothingNow


@contextlib.asynccontextmanager
async def _reading(
    pipeline: Pipeline, system: SystemRule, rule: SourceRule, place: Path, name: str
) -> AsyncIterator[Reading]:
    """The file as its adapter reads it. Raises BusError if that takes it for no export."""
    world, waiting = pipeline.world, Waiting()
    around = Surroundings(
        system=system.name,
        state=place / "adapter",
        now_ms=world.now_ms,
        sleep=_no_sleep,
        entities=tuple(
            source_shape(each, pipeline.district.entities[name]) for name, each in rule.entities.items()
        ),
        waiting=waiting,
    )
    settings = {**rule.settings, "folder": str(place / "in")}
    source = world.make_source(replace(system, source=replace(rule, settings=settings)), around)
    assert isinstance(source, Source)
    async with contextlib.aclosing(source.read()) as readings:  # type: ignore[type-var]
        try:
            async with asyncio.timeout(OPENED_WITHIN_S):
                reading = await anext(readings)
        except (TimeoutError, _NothingNow):
            why = next(iter(waiting.values()), "nothing that this source reads has such a name")
            raise BusError(f"{name}: it is not taken up: {why}") from None
        yield reading
    await source.close()


async def _tried(
    pipeline: Pipeline, system: str, rule: SourceRule, shelf: Shelf, reading: Reading, *, rows: bool
) -> Trial:
    now_ms = pipeline.world.now_ms()
    last = next(iter(shelf.reads(1)), None)
    read = Read(
        number=last.number + 1 if last else 1,
        name=reading.name,
        sha256=reading.sha256,
        size_bytes=reading.size_bytes,
        observed_at_ms=reading.observed_at_ms,
        started_ms=now_ms,
    )
    planning = planning_of(pipeline.district, pipeline.world, pipeline.store, system, rule, shelf)
    try:
        await reading.open()
        read, judged = await planning.plan(reading, replace(read, full=reading.full), now_ms)
    except Refused as refused:
        return Trial(read=read.ended("refused", now_ms), refused=tuple(refused.reasons), counts={})
    counts = {Cell(entity, school, op): count for entity, school, op, count in shelf.read("plan_cells")}
    listed = await _rows(pipeline, system, rule, shelf, judged) if rows else ()
    return Trial(read=read, counts=counts, held=judged.cells, depends=judged.depending, rows=tuple(listed))


async def _rows(
    pipeline: Pipeline, system: str, rule: SourceRule, shelf: Shelf, judged: Judged
) -> list[Planned]:
    held = {each.cell: each.why for each in judged.cells}
    found = []
    async for page in pages(shelf, "plan_after"):
        fields = _differing(pipeline, system, rule, page)
        for number, entity, local_id, op, school, _ in page:
            why = held.get(Cell(entity, school, op)) or ("depends" if number in judged.depends else "")
            found.append(Planned(op, school, entity, local_id, why, fields.get(number, ())))
    return found


def _differing(
    pipeline: Pipeline, system: str, rule: SourceRule, page: list[tuple[Any, ...]]
) -> dict[int, tuple[str, ...]]:
    """The fields of updates that differ from the hub's records."""
    rules = {name: references(pipeline.district.entities[name]) for name in rule.entities}
    events: dict[int, Event] = {row[0]: decode_event(row[5]) for row in page if row[3] == Op.UPDATE.value}
    names = [(system, event.entity, event.local_id) for event in events.values()]
    names += [name for event in events.values() for name in named(event, rules[event.entity])]
    links = pipeline.store.links(names) if names else {}
    keys = {number: links.get((system, each.entity, each.local_id), "") for number, each in events.items()}
    records = pipeline.store.records([key for key in keys.values() if key])
    found = {}
    for number, event in events.items():
        if record := records.get(keys[number]):
            fields, _ = resolve(event, rules[event.entity], links)
            mapped = [term.field for term in rule.entities[event.entity].terms]
            found[number] = tuple(n for n in mapped if fields.get(n) != record.values.get(n))
    return found
