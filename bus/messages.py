"""All that ever crosses the wire: events, records, changes, deliveries' outcomes, alerts.

The ones made by the hundred thousand are named tuples: as immutable as a frozen dataclass and three times
as fast to make. Times are integers, milliseconds since 1970 UTC, named `..._ms`.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

Value = str | int | float | bool | None | tuple[str, ...]
"""A field's value in the hub's normal form. Blank is None. Lists hold text. A reference is a record key."""

Fields = Mapping[str, Value]


class Op(StrEnum):
    """What happened to a record in a system, or is to happen in a destination."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    # of events only: a date has come, and what a person decides
    DATE = "date"
    PICK = "pick"
    LINK = "link"
    UNLINK = "unlink"
    DISMISS = "dismiss"
    MERGE = "merge"
    SPLIT = "split"
    FOLLOW = "follow"  # what a merge or a split means for another record


class Outcome(StrEnum):
    """How an event, or a delivery, ended; design.md lists them. The open ones come last in each block."""

    # of an event
    ACCEPTED = "accepted"
    UNCHANGED = "unchanged"  # of a delivery too
    STALE = "stale"
    REFUSED = "refused"
    CONFLICT = "conflict"
    INVALID = "invalid"
    DUPLICATE = "duplicate"
    DISMISSED = "dismissed"
    UNMATCHED = "unmatched"
    HELD = "held"  # of a delivery too
    # of a delivery
    DELIVERED = "delivered"
    SUPERSEDED = "superseded"
    FILTERED = "filtered"
    FAILED = "failed"
    DISCARDED = "discarded"  # of a hold too, as are held and superseded
    # of a hold
    APPROVED = "approved"
    EXPIRED = "expired"
    # of a delivery, open
    READY = "ready"
    WAITING = "waiting"
    RETRYING = "retrying"
    PAUSED = "paused"


class Step(StrEnum):
    """Which step an audit record is about: the second token of its subject."""

    EVENT = "event"
    DELIVERY = "delivery"
    PUT = "put"
    CONFLICT = "conflict"
    HOLD = "hold"
    REPLAY = "replay"
    OPERATOR = "operator"
    READ = "read"


class Severity(StrEnum):
    """How soon a person has to look."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Event(NamedTuple):
    """What one system says happened to one record.

    `id` is the Nats-Msg-Id. `full` says that `fields` is all the system maps, so that a field which is
    absent has no value there. `observed_at_ms`: when the system's state was read. `read` names the read
    that it came with. `act`: of a person's decision who, why and what it is about. `extra` holds map entries
    of a newer schema, kept as they came. `hub_id`: what the system says is our own id of the record.
    """

    id: str
    system: str
    entity: str
    op: Op
    local_id: str
    fields: Fields
    full: bool
    observed_at_ms: int
    occurred_at_ms: int | None = None
    read: str = ""
    traceparent: str = ""
    extra: Mapping[str, object] = {}
    act: Mapping[str, object] = {}
    hub_id: str = ""


class Origin(NamedTuple):
    """Why a field has its value: who said it, in which event (EVENTS sequence), when, by which rule, and in
    which rev of the record it came.
    """

    system: str
    event_seq: int
    at_ms: int
    rule: str
    rev: int = 0


EXISTENCE = ""
"""In place of a field's name: that the record exists."""


class Claim(NamedTuple):
    """A claim that does not stand, while the record's value is the one it met: the event that made it, and
    when it was observed. `is_open`: it was refused, and may yet turn out to be one side of a conflict.
    """

    event_seq: int
    at_ms: int
    is_open: bool = True


class Seen(NamedTuple):
    """What a system last said about a record, field by field: the base of the three-way merge.

    `at_ms`: when it last spoke of all `names`; of those in `times` it spoke later. `said`: what it said
    where that is not the record's value. `since`: when what it says of a field last changed (else: when it
    first spoke of it, `since[EXISTENCE]`). `claims`: those of `said` that met the value that stands now.
    `took`: of a system that takes up late, when it was given what it has taken up last.
    """

    at_ms: int
    names: tuple[str, ...] = ()
    said: Mapping[str, Value] = {}
    times: Mapping[str, int] = {}
    since: Mapping[str, int] = {}
    claims: Mapping[str, Claim] = {}
    took: Mapping[str, int] = {}


class Conflict(NamedTuple):
    """Two systems changed the same fields since they last agreed. Holds values: it goes nowhere but to its
    own audit subject and the index.

    `values`, `system`, `event_seq`, `at_ms` are one side's, `other...` the side's whose value stood.
    `rule` decided (owner, priority, latest, ask, invariant, existence, bouncing); `winner` '' : a person is
    asked.
    """

    key: str
    fields: tuple[str, ...]
    system: str
    values: tuple[Value, ...]
    event_seq: int
    at_ms: int
    other: str
    other_values: tuple[Value, ...]
    other_seq: int
    other_ms: int
    rule: str
    winner: str


class Version(NamedTuple):
    """Which state of a record: (epoch of the CHANGES stream, sequence in it). Later is greater."""

    epoch: int
    seq: int

    @property
    def number(self) -> int:
        """One integer that orders as the pair does; fits a signed 64-bit column."""
        return (self.epoch << 48) | self.seq


class Record(NamedTuple):
    """The hub's truth about one thing. `key` is `<entity>/<id>`, fixed for good.

    `rev` counts its changes from 1; `seq` is the CHANGES sequence of the newest. `links` maps a system to
    its local_id. A deleted record is a tombstone: values and links stay. `changed` and `event_seq` are of its
    newest change: the fields that got another value, and the EVENTS sequence of what made it. `asked`: fields
    that wait for a person's pick, with the systems that disagree. `turns`: fields that went from one system's
    value to another's, how often within the hour that began when. `aliases`: further ids in a system; of
    `yellowbus` the keys of records that were made one with it. `into`: the record that it was made one with;
    then it is a tombstone, and its ids name that one. In `seen` a system's name stands for its main id, and
    `<system>:<local_id>` for an alias, which says things of its own.
    """

    key: str
    entity: str
    rev: int
    seq: int
    deleted: bool
    changed: tuple[str, ...]
    event_seq: int
    values: dict[str, Value]
    origins: Mapping[str, Origin]
    links: dict[str, str]
    seen: dict[str, Seen]
    extra: Mapping[str, object] = {}
    asked: Mapping[str, tuple[str, ...]] = {}
    turns: Mapping[str, tuple[int, int]] = {}
    aliases: Mapping[str, tuple[str, ...]] = {}
    into: str = ""

    def at(self, seq: int) -> "Record":
        """The same, now that its newest change stands there on CHANGES. In half the time of _replace."""
        return Record._make((*self[:3], seq, *self[4:]))


class Change(NamedTuple):
    """A record right after an accepted event, with the decision that made it."""

    record: Record
    op: Op
    event_id: str
    system: str
    outcome: Outcome
    refused: tuple[str, ...]
    decided_at_ms: int
    observed_at_ms: int
    traceparent: str = ""
    conflicts: tuple[Conflict, ...] = ()


class AuditRecord(NamedTuple):
    """One movement of data, or one act of a person. Never a value of a field, only names.

    `id` is deterministic: a reader that sees an id twice counts it once. A delivery's record settles the
    revs `rev_from`..`rev`: the newest by its outcome, those before it as superseded. `hash` is the content
    hash of what the destination now holds (keyed, so that it tells nothing). `seq`: the EVENTS sequence for
    an event, the CHANGES sequence for a delivery. `by_field`: the outcomes of an event's fields that are not
    unchanged.
    """

    id: str
    step: Step
    outcome: Outcome
    at_ms: int
    source: str = ""
    destination: str = ""
    entity: str = ""
    key: str = ""
    local_id: str = ""
    op: str = ""
    fields: tuple[str, ...] = ()
    reason: str = ""
    attempt: int = 0
    rev_from: int = 0
    rev: int = 0
    epoch: int = 0
    seq: int = 0
    event_seq: int = 0
    event_id: str = ""
    observed_at_ms: int = 0
    hash: str = ""
    read: str = ""
    who: str = ""
    traceparent: str = ""
    by_field: tuple[tuple[str, str], ...] = ()

    @property
    def system(self) -> str:
        """The system that its subject names: the destination of a delivery, else the source."""
        return self.destination or self.source or "yellowbus"


class Alert(NamedTuple):
    """Something a person has to look at. `kind` is the reason code and the runbook's file name."""

    id: str
    kind: str
    severity: Severity
    system: str
    at_ms: int
    text: str
    runbook: str
