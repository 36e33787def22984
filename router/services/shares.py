"""`shares`: which system gets which field, of which class, for what purpose, by which agreement.

As the running router's configuration has it: what a file says that was not loaded yet is not shared.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from bus.services import Command
from router.core.mapping import BUILT_IN
from router.core.rules import DestinationEntity, DestinationRule, District, EntityRule, Term
from router.pipeline import Pipeline
from router.services.asking import reply

IDENTIFIER: Final = "identifier"
"""The class of what names a record: its id, its key."""


def commands(pipeline: Pipeline, now_ms: Callable[[], int]) -> list[Command]:
    """What answers `shares`."""

    async def shared(operator: str, request: bytes) -> bytes:
        lines = [
            {**line, "mode": pipeline.workers[line["system"]].mode} for line in shares(pipeline.district)
        ]
        return reply({"shares": lines})

    return [Command(what="shares", answer=shared, description="Who gets which field, why, by which contract")]


def shares(district: District) -> Iterator[Mapping[str, Any]]:
    """A line for each field that a system is told, directly or through an expression; `sent_as` is what it
    is called there.
    """
    for system, rule in district.systems.items():
        if rule.destination is None:
            continue
        for entity, each in rule.destination.entities.items():
            for field, class_, sent_as in _fields(each, district.entities[entity]):
                yield {
                    "system": system,
                    "entity": entity,
                    "field": field,
                    "class": class_,
                    "sent_as": sent_as,
                    **_grounds(rule.destination),
                }


def _fields(rule: DestinationEntity, entity: EntityRule) -> Iterator[tuple[str, str, str]]:
    yield "id", IDENTIFIER, rule.id_field
    for term in rule.terms:
        for name in _reads(term):
            yield name, IDENTIFIER if name in BUILT_IN else entity.fields[name].class_, term.field


def _reads(term: Term) -> tuple[str, ...]:
    return term.program.variables if term.program else (term.column,)


def _grounds(rule: DestinationRule) -> Mapping[str, str]:
    return {"purpose": rule.purpose, "agreement": rule.agreement}
