"""Destinations of which one waits for another, and records that wait for others: what must be so on the way
and at the end.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from simulation.district import SENIOR, NotSenior

from bus.messages import Fields, Record
from router.core.rules import District

if TYPE_CHECKING:
    from simulation.systems import Far
    from simulation.world import Town

Before = Callable[[str, Fields], Iterator[str]]
"""From what a destination is told of a record to what should have been there before."""
Behind = Callable[[str], Iterator[str]]
"""From what goes at a destination to what should have gone before."""


def idp_first(district: District) -> District:
    """The same district, where lms gets a student when idp has it."""
    lms = district.systems["lms"]
    assert lms.destination
    entities = dict(lms.destination.entities)
    entities["student"] = replace(entities["student"], after=("idp",))
    lms = replace(lms, destination=replace(lms.destination, entities=entities))
    return replace(district, systems={**district.systems, "lms": lms})


def watch(fars: Mapping[str, "Far"]) -> None:
    """From now on lms notes what it gets, or what is taken from it, too early."""

    def too_early(key: str, fields: Fields) -> Iterator[str]:
        entity = key.partition("/")[0]
        if entity == "student" and fields["grade"] != SENIOR and not _has(fars["idp"], key):
            yield f"lms: {key} is there before idp has it"
        if entity == "enrollment" and not _has(fars["lms"], f"student/{fields['student']}"):
            yield f"lms: {key} is there without student/{fields['student']}"

    def gone_too_early(key: str) -> Iterator[str]:
        lied_about = fars["lms"].missed | fars["lms"].denied
        for other, held in fars["lms"].records.items():
            if (
                other not in lied_about
                and other.startswith("enrollment/")
                and f"student/{held.fields['student']}" == key
            ):
                yield f"lms: {key} goes, and {other} is there without it"

    fars["lms"].before = too_early
    fars["lms"].behind = gone_too_early


def no_seniors(district: District) -> District:
    """The same district, where lms is told of no seniors, so that their enrollments follow them."""
    lms = district.systems["lms"]
    assert lms.destination
    entities = dict(lms.destination.entities)
    entities["student"] = replace(entities["student"], when=NotSenior())
    lms = replace(lms, destination=replace(lms.destination, entities=entities))
    return replace(district, systems={**district.systems, "lms": lms})


def required_by(destination: str, record: Record) -> str:
    """The key of what a record there cannot be without, or ''."""
    if destination != "lms" or record.entity != "enrollment":
        return ""
    return str(record.values.get("student") or "")


def _has(far: "Far", key: str) -> bool:
    """Does it have the record, as far as anybody can know who believes what it says?"""
    return key in far.records or key in far.missed


def waiting(town: "Town") -> dict[tuple[str, str], int]:
    """(destination, key) of what waits, with the rev up to which that holds."""
    sql = "SELECT destination, key, w.rev FROM work w JOIN record r ON r.id = w.record WHERE awaits <> ''"
    return {(name, key): rev for name, key, rev in town.disk.rows("index.sqlite", sql)}


def wrongly_waiting(town: "Town") -> Iterator[str]:
    """What waits when all is quiet waits for something that nobody has, that failed, or that waits itself."""
    sql = """
        SELECT destination, key, w.reason FROM work w JOIN record r ON r.id = w.record
        WHERE w.awaits <> '' AND w.awaited <> 0
          AND NOT EXISTS (SELECT 1 FROM failure f WHERE f.destination = w.awaits AND f.record = w.awaited)
          AND NOT EXISTS (SELECT 1 FROM work k WHERE k.destination = w.awaits AND k.record = w.awaited)
    """
    for name, key, reason in town.disk.rows("index.sqlite", sql):
        yield f"{name} {key}: waits for nothing: {reason}"
