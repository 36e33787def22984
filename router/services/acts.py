"""A person's decision is an event: said on EVENTS, decided by intake like all others, audited with who
and why.
"""

from collections.abc import Callable, Mapping

from bus import subjects
from bus.codec import encode_event
from bus.errors import BusError
from bus.messages import Event, Fields, Op, Record
from bus.port import Message
from router.core.joining import HUB
from router.decided import entity_of
from router.gathering import OPERATOR
from router.pipeline import Pipeline


def why_of(says: Mapping[str, object]) -> str:
    """The reason that every act needs. Raises BusError."""
    why = str(says.get("why", "")).strip()
    if not why:
        raise BusError("why: nothing given (expected a few words: they stand in the audit). Add --why")
    return why


async def act(
    pipeline: Pipeline,
    now_ms: Callable[[], int],
    op: Op,
    entity: str,
    about: Mapping[str, object],
    fields: Fields | None = None,
) -> int:
    """Say it, and wait until it is decided; returns its EVENTS sequence. Raises Unavailable."""
    at_ms = now_ms()
    name = pipeline.tokens(f"{about.get('key', '')}/{about.get('system', '')}/{about.get('local_id', '')}")
    id_ = f"{OPERATOR}.{op.value}.{name}.{at_ms}"
    event = Event(id_, OPERATOR, entity, op, "", dict(fields or {}), False, at_ms, act=dict(about))
    message = Message(subjects.event(OPERATOR, entity, op), encode_event(event), id_)
    (seq,) = await pipeline.bus.publish(subjects.EVENTS, [message])
    await pipeline.store.reached("events", seq)
    return seq


def record_of(pipeline: Pipeline, key: str) -> Record:
    """The record as the index has it; of one that was made one with another, that other. Raises BusError."""
    found = pipeline.store.records([key]).get(key)
    if found is not None and found.into:
        name = (HUB, found.entity, key)
        key = pipeline.store.links([name]).get(name, found.into)
        found = pipeline.store.records([key]).get(key)
    if found is None:
        raise BusError(f"{key}: there is no such record (expected entity/id, as in student/1001)")
    return found


def known_entity(pipeline: Pipeline, key: str) -> str:
    """The entity in a key. Raises BusError if the configuration has none of that name."""
    entity = entity_of(key)
    if entity not in pipeline.district.entities:
        names = ", ".join(pipeline.district.entities)
        raise BusError(
            f"{key!r}: {entity!r} is no entity here (expected entity/id, the entity one of: {names})"
        )
    return entity
