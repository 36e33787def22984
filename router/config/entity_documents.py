"""What entities/*.yaml may say: an entity's fields, who owns them, what belongs together."""

from typing import Literal

from pydantic import Field

from router.config.authority import Owner, Ties
from router.config.documents import EntityName, FieldName, Strict, Text, Texts
from router.core.rules import Type


class FieldEntry(Strict):
    """One field of an entity."""

    title: str = ""
    type: Type = Type.TEXT
    owner: Owner | None = Field(
        default=None,
        description="Who decides it: a system, several, or by date; the entity's owner unless said",
    )
    ties: Ties | None = Field(default=None, description="Of several owners that have both changed it")
    set: bool = Field(default=False, description="A list whose order says nothing")
    search: bool = Field(default=False, description="Commands find records by its value")
    class_: Literal["directory", "education", "sensitive"] = Field(default="education", alias="class")
    to: Texts = Field(default=(), description="The entities that a reference may name")
    required: bool = Field(default=False, description="A record without it is invalid")


class GroupEntry(Strict):
    """Fields that are decided together: a name, an address, an enrollment's dates."""

    fields: tuple[Text, ...] = Field(min_length=2)
    owner: Owner | None = None
    ties: Ties | None = None


class EntityFile(Strict):
    """entities/*.yaml: one kind of thing the district has."""

    entity: EntityName
    title: str = ""
    owner: Owner = Field(min_length=1, description="Who decides whether a record exists")
    ties: Ties | None = None
    partition: str = Field(default="", description="The reference to a record's school: guards count by it")
    fields: dict[FieldName, FieldEntry] = Field(min_length=1)
    groups: dict[str, GroupEntry] = Field(default={}, description="Fields that are decided together")
    invariants: tuple[Text, ...] = Field(default=(), description="CEL over the fields: what always holds")
    ends: Texts = Field(
        default=(),
        description="The day after which a row that is exported no more has ended, as class.terms.endDate",
    )
    match: tuple[Texts, ...] = Field(
        default=(), description="Fields by which a record is recognised, in order"
    )
    identity: Texts = Field(default=(), description="Fields that name a membership, as class, user, role")
