"""The model district: its configuration, compiled by hand, with the smallest expressions that will do."""

from collections.abc import Mapping
from random import Random
from typing import Any, Final

from router.core.rules import (
    DestinationEntity,
    DestinationRule,
    District,
    EntityRule,
    FieldRule,
    Guards,
    SourceEntity,
    SourceRule,
    SystemRule,
    Term,
    Type,
)

SENIOR: Final = "12"


class NotSenior:
    """The expression `grade != "12"`."""

    variables = ("grade",)

    def execute(self, context: dict[str, object], /) -> object:
        return context["grade"] != SENIOR


def _field(name: str, type_: Type, owner: str, **also: Any) -> FieldRule:
    return FieldRule(name=name, type=type_, owner=owner, **also)


ENTITIES: Final = {
    rule.name: rule
    for rule in (
        EntityRule(
            name="student",
            owner="sis",
            fields={
                "name": _field("name", Type.TEXT, "sis", required=True),
                "grade": _field("grade", Type.TEXT, "sis"),
                "credits": _field("credits", Type.INTEGER, "sis"),
                "badge": _field("badge", Type.TEXT, "hr"),
            },
        ),
        EntityRule(
            name="class",
            owner="sis",
            fields={
                "title": _field("title", Type.TEXT, "sis", required=True),
                "after": _field("after", Type.REFERENCE, "sis", to=("class",)),
            },
        ),
        EntityRule(
            name="enrollment",
            owner="sis",
            fields={
                "student": _field("student", Type.REFERENCE, "sis", to=("student",), required=True),
                "class": _field("class", Type.REFERENCE, "sis", to=("class",)),
                "role": _field("role", Type.TEXT, "sis"),
            },
        ),
        EntityRule(
            name="staff",
            owner="hr",
            fields={"name": _field("name", Type.TEXT, "hr", required=True)},
        ),
    )
}

SIS: Final = ("student", "class", "enrollment")
HR: Final = ("staff", "student")
COLUMNS: Final = {
    ("sis", "student"): ("name", "grade", "credits"),
    ("sis", "class"): ("title", "after"),
    ("sis", "enrollment"): ("student", "class", "role"),
    ("hr", "staff"): ("name",),
    ("hr", "student"): ("name", "badge"),
}
TOLD: Final = {
    "student": ("name", "grade", "credits"),
    "class": ("title", "after"),
    "enrollment": ("student", "class", "role"),
    "staff": ("name",),
}
"""What each destination is told about an entity, beside the id."""


def _source(system: str, entities: tuple[str, ...]) -> SourceRule:
    return SourceRule(
        adapter="simulated",
        settings={},
        entities={
            entity: SourceEntity(
                entity=entity,
                table=entity,
                id_field="id",
                terms=tuple(Term(field=name, text=name, column=name) for name in COLUMNS[system, entity]),
            )
            for entity in entities
        },
    )


def _destination(entities: Mapping[str, str], *, filtered: bool = False, **also: Any) -> DestinationRule:
    """`entities`: what happens there to a record that is gone, by entity."""
    return DestinationRule(
        adapter="simulated",
        settings={},
        entities={
            entity: DestinationEntity(
                entity=entity,
                table=entity,
                id_field="id",
                terms=(
                    Term(field="id", text="id", column="id"),
                    *(Term(field=name, text=name, column=name) for name in TOLD[entity]),
                ),
                when=NotSenior() if filtered and entity == "student" else None,
                on_delete=on_delete,
            )
            for entity, on_delete in entities.items()
        },
        **also,
    )


def make_district(chance: Random) -> District:
    """Two sources, three destinations; how these are paced is up to chance."""
    everything = dict.fromkeys(ENTITIES, "delete")
    systems = (
        SystemRule(name="sis", title="", file="", source=_source("sis", SIS)),
        SystemRule(name="hr", title="", file="", source=_source("hr", HR)),
        SystemRule(
            name="lms",
            title="",
            file="",
            destination=_destination(everything, concurrent=chance.choice((1, 1, 3))),
        ),
        SystemRule(
            name="idp",
            title="",
            file="",
            destination=_destination(
                {"student": "deactivate", "staff": "deactivate"},
                filtered=True,
                concurrent=chance.choice((1, 2)),
                rate_per_s=chance.choice((0.0, 0.0, 20.0)),
            ),
        ),
        SystemRule(
            name="files",
            title="",
            file="",
            destination=_destination(
                {"enrollment": "delete", "class": "ignore"}, linger_s=chance.choice((0.0, 2.0))
            ),
        ),
    )
    return District(
        name="model",
        timezone="UTC",
        key=b"the district's key",
        nats_url="",
        nats_credentials="",
        replicas=1,
        guards=Guards(dangling_max=0.15, shrink_max=0.20, first_read="flow"),
        entities=ENTITIES,
        systems={system.name: system for system in systems},
        digest="1",
    )
