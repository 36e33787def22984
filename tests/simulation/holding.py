"""What people do with holds in a town, and how small its limits are: for tests of held plans."""

from dataclasses import replace
from typing import Any, Final

from simulation.district import ENTITIES
from simulation.exports import Rows, students
from simulation.world import Town

from bus.errors import BusError
from router.core.holds import Hold, Selection
from router.core.rules import Guards, Limit
from router.pipeline import Pipeline
from router.sources.holds import hold_of
from router.sources.runner import SourceRunner

FEW: Final = Limit(share=0.0, records=3)
MANY: Final = Limit(share=1.0, records=1_000)
GUARDS: Final = Guards(
    dangling_max=0.15,
    shrink_max=0.9,
    first_read="flow",
    creates=FEW,
    updates=FEW,
    removes=FEW,
    district_creates=MANY,
    district_updates=MANY,
    district_removes=MANY,
)
"""Three records of a cell flow by themselves. Schools are grades here, and classes for enrollments."""


NINE: Final = students(*range(1, 9), grade="9")
TEN: Final = students(*range(21, 29), grade="10")
"""Two schools of eight."""


def without(rows: Rows, *ids: int) -> Rows:
    return [row for row in rows if row[0] not in {f"s{id_}" for id_ in ids}]


def gone(*ids: int) -> list[tuple[str, str]]:
    return [("delete", f"s{id_}") for id_ in ids]


def strict(town: Town, **other: Any) -> Town:
    """The town with limits that a test can reach."""
    entities = {
        **ENTITIES,
        "student": replace(ENTITIES["student"], partition="grade"),
        "enrollment": replace(ENTITIES["enrollment"], partition="class"),
    }
    town.district = replace(town.district, guards=replace(GUARDS, **other), entities=entities)
    return town


def holds(town: Town) -> list[Hold]:
    """The source's holds as the shelf has them, oldest first."""
    rows = town.disk.rows("sis.sqlite", "SELECT body FROM hold ORDER BY since_ms, id")
    return [hold_of(body) for (body,) in rows]


def waiting(town: Town) -> list[tuple[str, str]]:
    """Which records wait: what would happen to them, and their ids."""
    return town.disk.rows("sis.sqlite", "SELECT op, local_id FROM waiting WHERE approved = 0 ORDER BY id")  # type: ignore[return-value]


def outcome(town: Town, number: int) -> str:
    """How a read stands."""
    [(found,)] = town.disk.rows("sis.sqlite", "SELECT outcome FROM read WHERE number = ?", number)
    return str(found)


def approve(town: Town, id_: str, *, typed: str = "", **part: str) -> str:
    """Somebody approves a hold, or a part of it, once all is quiet; returns what was answered if not that."""
    return _decide(town, "approve", id_, typed, **part)


def discard(town: Town, id_: str, **part: str) -> str:
    """Somebody discards it."""
    return _decide(town, "discard", id_, **part)


def _decide(town: Town, what: str, id_: str, *typed: str, **part: str) -> str:
    answers: list[str] = []
    deciding(town, what, id_, *typed, answers=answers, **part)
    assert town.live()
    return answers[0]


def deciding(town: Town, what: str, id_: str, *typed: str, answers: list[str], **part: str) -> None:
    """The same, in the life that comes."""

    async def act(pipeline: Pipeline) -> None:
        runner = pipeline.sources["sis"]
        assert isinstance(runner, SourceRunner)
        try:
            await getattr(runner, what)(id_, *typed, Selection(**part), "ada", "they moved")
            answers.append("")
        except BusError as error:
            answers.append(error.message)

    town.acts.append(act)
