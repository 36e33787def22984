"""What the configuration says, compiled once: the values that every step decides by.

`router.config` makes them from the YAML files; nothing else does. A `None` program means "always".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Type(StrEnum):
    """A field's type in the hub. A reference holds a record key; lists and references hold several."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    LIST = "list"
    REFERENCE = "reference"
    REFERENCES = "references"


class Program(Protocol):
    """A compiled CEL expression. `variables`: the names that it reads, all that `execute` needs."""

    @property
    def variables(self) -> tuple[str, ...]: ...

    def execute(self, context: dict[str, object], /) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRule:
    """One field of an entity. `owner` is the system with authority over it ('' : nobody, it never moves).

    `to`: the entities that a reference may name. `required`: a record without it is invalid.
    """

    name: str
    type: Type
    owner: str
    class_: str = "education"
    to: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityRule:
    """One kind of thing. `owner` is the system with authority over existence.

    `partition`: the reference field that names a record's school, by which guards count (its first, if it
    holds several).
    """

    name: str
    owner: str
    fields: Mapping[str, FieldRule]
    partition: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One mapped field: plain `column` names (fast), or an expression over the row or record (`program`).

    `field` is the name on the side that is written, `text` what the YAML says, `normalize` what is done to
    the system's text before its type is read: trim, lower, upper, or a strptime date format.
    """

    field: str
    text: str
    column: str = ""
    program: Program | None = None
    normalize: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceEntity:
    """How a system's table becomes events of an entity. `when` chooses rows of a table that several share."""

    entity: str
    table: str
    id_field: str
    terms: tuple[Term, ...]
    when: Program | None = None
    when_text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationEntity:
    """How records of an entity become what a system is told.

    `sources`: only changes of records whose existence came from these ('' : all). `on_delete`: delete,
    deactivate or ignore.
    """

    entity: str
    table: str
    id_field: str
    terms: tuple[Term, ...]
    when: Program | None = None
    when_text: str = ""
    sources: tuple[str, ...] = ()
    on_delete: str = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """Limits on what a read may do, as shares of 1."""

    dangling_max: float = 0.01
    shrink_max: float = 0.20


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRule:
    """What a system tells us: the adapter, its settings as written, its entities in the order to publish."""

    adapter: str
    settings: Mapping[str, object] = field(repr=False)
    entities: Mapping[str, SourceEntity]


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationRule:
    """What we tell a system. `rate_per_s` 0 means no limit; `linger_s`: how long to gather before a send."""

    adapter: str
    settings: Mapping[str, object] = field(repr=False)
    entities: Mapping[str, DestinationEntity]
    rate_per_s: float = 0.0
    concurrent: int = 1
    linger_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemRule:
    """One file under integrations/. `file` is where it stands, for messages."""

    name: str
    title: str
    file: str
    source: SourceRule | None = None
    destination: DestinationRule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class District:
    """The whole configuration. `key` makes the tokens and content hashes; it never leaves the router.

    `digest` is a hash of the whole configuration, to see whether a reload changed it.
    `nats_url` '' means the embedded server.
    """

    name: str
    timezone: str
    key: bytes = field(repr=False)
    nats_url: str
    nats_credentials: str
    replicas: int
    guards: Guards
    entities: Mapping[str, EntityRule]
    systems: Mapping[str, SystemRule]
    digest: str
