"""What the configuration says, compiled once: the values that every step decides by.

`router.config` makes them from the YAML files; nothing else does. A `None` program means "always".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from bus.messages import Value
from router.core.schedule import ALWAYS, Schedule


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


Normal = Callable[[Value], Value]
"""From a value to how a system writes it."""
NOTHING_NORMAL: Final[Mapping[str, Normal]] = {}


class Program(Protocol):
    """A compiled CEL expression. `variables`: the names that it reads, all that `execute` needs."""

    @property
    def variables(self) -> tuple[str, ...]: ...

    def execute(self, context: dict[str, object], /) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Who has authority for a time, in order of priority: [from_ms, until_ms) (None: open), or while the
    spans of the record that the path `during` names (`class.terms`) last.
    """

    systems: tuple[str, ...]
    from_ms: int | None = None
    until_ms: int | None = None
    during: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRule:
    """One field of an entity. `owner` is the system with authority over it ('' : see `owners`).

    `owners`: where it is several, or changes with time: the first period that holds decides; none: nobody,
    it does not move. `ties` between several: priority, latest or ask. `to`: the entities that a reference
    may name. `required`: a record without it is invalid. `group`: the fields that move together with it.
    `is_set`: a list whose order says nothing. `search`: people may find records by it.
    """

    name: str
    type: Type
    owner: str
    class_: str = "education"
    to: tuple[str, ...] = ()
    required: bool = False
    owners: tuple[Period, ...] = ()
    ties: str = "priority"
    group: tuple[str, ...] = ()
    is_set: bool = False
    search: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """What must hold in every record after a merge. `text` is the expression as written."""

    text: str
    program: Program


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityRule:
    """One kind of thing. `owner` is the system with authority over existence.

    `partition`: the reference field that names a record's school, by which guards count (its first, if it
    holds several). `owners` and `ties`: of existence, as of a field. `match`: the fields by which a record of
    another system is recognised, one rule after the other. `identity`: fields that name a membership without
    an id of its own. `normal`: by system, how it writes a field (lower case, say): the form in which its
    claims are compared. `two_way`: the systems that both tell and are told of it. `lags_s`: those that take
    up what they are told late, in seconds. `skews_ms`: how wrong the clocks may be by which the news of these
    is dated. `leaves`: those whose refused writes are left alone. `hub_ids`:
    those that say our own id of what we made there. `ends`: paths to the day after which a record that its
    source does not export any more has ended, and is not gone.
    """

    name: str
    owner: str
    fields: Mapping[str, FieldRule]
    partition: str = ""
    owners: tuple[Period, ...] = ()
    ties: str = "priority"
    invariants: tuple[Invariant, ...] = ()
    match: tuple[tuple[str, ...], ...] = ()
    identity: tuple[str, ...] = ()
    normal: Mapping[str, Mapping[str, Normal]] = field(default_factory=dict)
    two_way: frozenset[str] = frozenset()
    lags_s: Mapping[str, float] = field(default_factory=dict)
    skews_ms: Mapping[str, int] = field(default_factory=dict)
    leaves: frozenset[str] = frozenset()
    hub_ids: frozenset[str] = frozenset()
    ends: tuple[str, ...] = ()

    def normal_of(self, system: str) -> Mapping[str, Normal]:
        """How a system writes its fields."""
        return self.normal.get(system, NOTHING_NORMAL)


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
    """How a system's table becomes events of an entity. `when` chooses rows of a table that several share.
    `hub_id_field`: the column that has our own id of the record, where we made it there ('' : none has).
    `id_normalize`: what is done to an id, as in a term: two spellings of it are one record.
    """

    entity: str
    table: str
    id_field: str
    terms: tuple[Term, ...]
    when: Program | None = None
    when_text: str = ""
    hub_id_field: str = ""
    id_normalize: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationEntity:
    """How records of an entity become what a system is told.

    `sources`: only changes of records whose existence came from these ('' : all). `after`: the systems that
    have a record first. `on_delete`: delete, deactivate or ignore. `delete_after_s`: when what was
    deactivated is deleted (0: never).
    """

    entity: str
    table: str
    id_field: str
    terms: tuple[Term, ...]
    when: Program | None = None
    when_text: str = ""
    sources: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    on_delete: str = "delete"
    delete_after_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How many records of a cell (school x entity x operation) a plan may touch: a share of the cell's
    population and a number of records. Beyond both, it is held.
    """

    share: float
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """Limits on what a read may do; shares are of 1.

    `creates`, `updates`, `removes` are of a cell, `district_...` of an entity in the whole district.
    `population_min`: a cell with fewer records is only limited by the number. `first_read`: hold or flow.
    `approval_s`: how long an approval, or a hold, is good for. `blackouts`: [from_ms, until_ms) in which
    every plan is held.
    """

    dangling_max: float = 0.01
    shrink_max: float = 0.20
    creates: Limit = Limit(share=0.30, records=50)
    updates: Limit = Limit(share=0.50, records=200)
    removes: Limit = Limit(share=0.05, records=20)
    district_creates: Limit = Limit(share=0.20, records=200)
    district_updates: Limit = Limit(share=0.40, records=1_000)
    district_removes: Limit = Limit(share=0.03, records=50)
    population_min: int = 50
    first_read: str = "hold"
    approval_s: float = 86_400.0
    blackouts: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRule:
    """What a system tells us: the adapter, its settings as written, its entities in the order to publish.
    `skew_s`: how wrong the clock may be by which its news is dated.
    """

    adapter: str
    settings: Mapping[str, object] = field(repr=False)
    entities: Mapping[str, SourceEntity]
    skew_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationRule:
    """What we tell a system. `rate_per_s` 0 means no limit, `burst` 0: what a second brings, at once at most;
    `linger_s`: how long to gather before a send; `deadline_s`: how long one call of its adapter may take.

    `mode`: observe (decide and audit, send nothing), add-only, live. `creates_per_hour`, `removes_per_hour`:
    beyond them work is held (0: no limit). `purpose` and `agreement` let sensitive fields out.
    `waits_at_most_s`: how long a record may wait for another one before a person is told.
    `restores_per_hour`: how often a refused write of one record is set right before a person is told.
    `compare_at`: when it is compared each day, as in 03:00 ('' : never).
    `schedule`: when it may be told.
    `written`: a hash of what its file says of records, to see that it has been edited.
    """

    adapter: str
    settings: Mapping[str, object] = field(repr=False)
    entities: Mapping[str, DestinationEntity]
    rate_per_s: float = 0.0
    burst: int = 0
    deadline_s: float = 300.0
    concurrent: int = 1
    linger_s: float = 0.0
    waits_at_most_s: float = 86_400.0
    mode: str = "live"
    creates_per_hour: int = 0
    removes_per_hour: int = 0
    restores_per_hour: int = 3
    purpose: str = ""
    agreement: str = ""
    compare_at: str = ""
    schedule: Schedule = ALWAYS
    written: str = ""


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
