"""A town for tests of identity: a SIS, an identity provider that tells and is told, an LMS that is told."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from simulation.by_hand import empty_town, event, records, say
from simulation.clock import START_MS
from simulation.world import Town

from bus.messages import Event, Op, Record, Value
from router.core.rules import (
    DestinationEntity,
    DestinationRule,
    EntityRule,
    FieldRule,
    SourceEntity,
    SourceRule,
    SystemRule,
    Term,
    Type,
)

HOUR_MS = 3_600_000


def _text(name: str, owner: str = "sis", **also: object) -> FieldRule:
    return FieldRule(name=name, type=Type.TEXT, owner=owner, **also)  # type: ignore[arg-type]


def _refers(name: str, to: str) -> FieldRule:
    return FieldRule(name=name, type=Type.REFERENCE, owner="sis", to=(to,))


ENTITIES = {
    "student": EntityRule(
        name="student",
        owner="sis",
        fields={
            "name": _text("name"),
            "born": _text("born"),
            "phone": _text("phone"),
            "username": _text("username"),
            "email": _text("email", "idp"),
        },
        match=(("name", "born"), ("username",)),
        two_way=frozenset({"idp"}),
    ),
    "class": EntityRule(name="class", owner="sis", fields={"title": _text("title")}),
    "enrollment": EntityRule(
        name="enrollment",
        owner="sis",
        fields={
            "user": _refers("user", "student"),
            "class": _refers("class", "class"),
            "role": _text("role"),
            "begin": _text("begin"),
        },
        identity=("user", "class", "role"),
    ),
}


def _source(adapter: str, *entities: str) -> SourceRule:
    return SourceRule(
        adapter=adapter,
        settings={},
        entities={
            name: SourceEntity(entity=name, table=name, id_field="id", terms=_terms(name))
            for name in entities
        },
    )


def _destination(*entities: str) -> DestinationRule:
    return DestinationRule(
        adapter="simulated",
        settings={},
        entities={
            name: DestinationEntity(entity=name, table=name, id_field="id", terms=_terms(name))
            for name in entities
        },
    )


def _terms(entity: str) -> tuple[Term, ...]:
    return tuple(Term(field=name, text=name, column=name) for name in ENTITIES[entity].fields)


SYSTEMS = {
    "sis": SystemRule(name="sis", title="", file="", source=_source("simulated", *ENTITIES)),
    "idp": SystemRule(
        name="idp",
        title="",
        file="",
        source=_source("simulated", "student"),
        destination=_destination("student"),
    ),
    "lms": SystemRule(name="lms", title="", file="", destination=_destination(*ENTITIES)),
}


@contextlib.contextmanager
def identity_town() -> Iterator[Town]:
    """The town, before anybody has said anything."""
    with empty_town() as town:
        town.district = replace(town.district, entities=ENTITIES, systems=SYSTEMS)
        town.scripts = {"sis": [], "idp": []}
        town.fars = {name: town.fars[name] for name in ("idp", "lms")}
        town.loop.pass_time(60)
        yield town


def student(local_id: str, *, system: str = "sis", hours: int = 0, **fields: Value) -> Event:
    return event(local_id, system=system, at_ms=START_MS + hours * HOUR_MS, **fields)


def other(entity: str, local_id: str, *, hours: int = 0, **fields: Value) -> Event:
    return event(local_id, entity=entity, at_ms=START_MS + hours * HOUR_MS, **fields)


def gone(local_id: str, *, entity: str = "student", system: str = "sis", hours: int) -> Event:
    return event(local_id, system=system, entity=entity, op=Op.DELETE, at_ms=START_MS + hours * HOUR_MS)


def act(town: Town, op: Op, key: str, **about: object) -> Event:
    """A person's decision, who has seen all that is there now."""
    now = records(town)
    about = {"key": key, "looked_at": now[key].rev, "who": "kim", "why": "saw the papers", **about}
    if isinstance(named := about.get("other"), str):
        about["other_looked_at"] = now[named].rev
    id_ = f"{op}.{len(town.server.streams['EVENTS'].messages)}"
    return Event(id_, "operator", key.partition("/")[0], op, "", {}, False, town.loop.now_ms(), act=about)


def lived(town: Town, *events: Event) -> None:
    """Say them, and see them through: deliveries included."""
    say(town, *events)
    town.loop.pass_time(HOUR_MS / 1000)
    assert town.live()


def merged(town: Town, stays: str, leaves: str) -> None:
    lived(town, act(town, Op.MERGE, stays, other=leaves))


def split(town: Town, leaves: str, stays: str) -> None:
    lived(town, act(town, Op.SPLIT, leaves, other=stays))


def of(town: Town, key: str) -> Record:
    return records(town)[key]


def crosswalk(town: Town) -> dict[str, str]:
    """By `system:id` the key, as the index has it."""
    rows = town.disk.rows("index.sqlite", "SELECT system, local_id, key FROM link")
    return {f"{system}:{local_id}": key for system, local_id, key in rows}
