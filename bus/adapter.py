"""The contract between yellowbus and a kind of foreign system.

An adapter knows its protocol and nothing else: not the bus, not the hub's records, not another adapter.
It does not retry, schedule, log or remember what it delivered: the router does each of these once, for all.
Each call may be cancelled; a cancelled or crashed call may be made again.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from bus.errors import ConfigError, YellowbusError
from bus.messages import Fields, Op, Outcome, Value, Version


class Settings(BaseModel):
    """Base of what `integrations/<system>.yaml` may say under `settings:` for an adapter."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _ignore(name: str, why: str) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the router gives an adapter when it makes one.

    `state`: a folder of its own that outlives the process. `now_ms`: the clock. `sleep` waits that many
    seconds. `waiting(name, why)`: say that there is news which is not complete yet (a file still growing).
    `entities`: what the configuration asks of this adapter. `concurrent`: how many requests it may have under
    way at the same time.
    """

    system: str
    state: Path
    now_ms: Callable[[], int]
    sleep: "Sleep"
    entities: tuple["EntityShape", ...] = ()
    concurrent: int = 1
    waiting: Callable[[str, str], None] = field(default=_ignore)


class Sleep(Protocol):
    """asyncio.sleep, or a simulated one."""

    async def __call__(self, delay_s: float, /) -> None: ...


class EntityShape(NamedTuple):
    """One entity as configured for a system: its table there (file, table, resource), and the system's
    fields with the hub's type of each (text, integer, number, boolean, date, list; references are text).
    `id_field` is the field that holds the system's id of the record. `switches_off`: a record that is gone
    stays there, switched off.
    """

    entity: str
    table: str
    id_field: str
    fields: tuple[tuple[str, str], ...]
    switches_off: bool = False


class Misfit(NamedTuple):
    """What a mapping asks of a system that it cannot have.

    An adapter's class that knows has a static `misfits(settings, shapes)`, which gives all of them and
    touches nothing outside; `settings` is None where they are wrong themselves. `at`: where it stands below
    `source:` or `destination:`; a source's ("entities", "org", "columns", "name") is wherever that column is
    read. `word`: what is not known, or missing, there; `known`: what may be meant by it.
    """

    at: tuple[str, ...]
    text: str
    word: str = ""
    known: tuple[str, ...] = ()


def must_fit(system: str, misfits: Iterable[Misfit]) -> None:
    """Raises ConfigError that says all of them, if there are any."""
    if texts := list(dict.fromkeys(misfit.text for misfit in misfits)):
        raise ConfigError(f"{system}: {'; '.join(texts)}")


# -- sources ----------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """One row of a table as the system has it: text by column; `line` counts from 1 with the header as 1.

    `deleted`: a row that says that its record is gone (delta files, tombstones).
    """

    line: int
    values: dict[str, str]
    deleted: bool = False


class Reading(Protocol):
    """One complete look at a system: all of it (`full`), or what changed.

    A row that is absent from a full reading is a record that is gone. So a reading is complete or it is
    nothing: whatever is wrong raises `Refused`, and the router takes nothing of it.
    """

    name: str
    """What a person calls it: the file's name."""
    sha256: str
    size_bytes: int
    observed_at_ms: int
    """When the state in it was true: export time, poll start."""

    async def open(self) -> None:
        """Check all that can be checked without reading rows (archive, manifest, headers).

        Raises Refused.
        """
        ...

    @property
    def full(self) -> bool:
        """True: all records of its tables. False: only what changed. Known after `open`."""
        ...

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that it holds, among those the configuration asks for. Known after `open`."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """Harmless deviations that were read all the same."""
        ...

    def rows(self, table: str) -> AsyncIterator[list[Row]]:
        """All rows of a table, in batches of at most 500. Memory does not grow with the table.

        Raises Refused with file, line and column.
        """
        ...

    async def accept(self) -> None:
        """All of it is on the bus: put it away. Safe to repeat."""
        ...

    async def refuse(self, report: str) -> None:
        """Nothing of it was taken: put it aside with this report beside it. Safe to repeat."""
        ...


@runtime_checkable
class Source(Protocol):
    """A system that tells us things.

    A class whose readings are dated by our own clock (`Surroundings.now_ms`), and not by a file's time or the
    system's clock, has `own_clock = True`.
    """

    async def check(self) -> None:
        """Fail now, with a reason, rather than at the first read. Raises Unavailable or ConfigError."""
        ...

    def read(self) -> AsyncIterator[Reading]:
        """Wait for news and give it, one reading at a time, for ever.

        The next one is asked for when the one before was accepted or refused. Raises Unavailable.
        """
        ...

    async def close(self) -> None:
        """Let go of everything. Twice is fine."""
        ...


class Said(NamedTuple):
    """What a system says of its own accord happened to one record of a table: text by column, as in `Row`.

    `id`: the sender's name of this news; the same id twice is the same news ('' : it gives none). `full`:
    a column that is not there has no value; else it is as it was. `occurred_at_ms` None: it does not say.
    `age_ms`: how long ago it happened when it was sent, by the sender's clock: that may be wrong, but not the
    difference.
    """

    id: str
    table: str
    values: dict[str, str]
    deleted: bool = False
    full: bool = False
    occurred_at_ms: int | None = None
    age_ms: int = 0


class Unsound(YellowbusError):
    """One of the things said cannot be taken, so none of them was: the sender has to mend it.

    `index`: which of them, from 0. `field`: the field at fault. The text says why, without values.
    """

    def __init__(self, index: int, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.index = index
        self.field = field
        self.reason = reason


Take = Callable[[Sequence[Said]], Awaitable[None]]
"""Takes what a system says, all or nothing. On return it is on the bus for good.

Raises Unsound, or Unavailable or StreamFull: nothing was taken, and the sender may say it again.
"""


@runtime_checkable
class Listener(Protocol):
    """A source that is not read: it speaks when it has news."""

    async def check(self) -> None:
        """Fail now, with a reason, rather than at the first news. Raises Unavailable or ConfigError."""
        ...

    async def listen(self, take: Take) -> None:
        """Hear the system for ever, and hand what it says to `take`. Raises Unavailable."""
        ...

    async def close(self) -> None:
        """Let go of everything. Twice is fine."""
        ...


# -- destinations -----------------------------------------------------------------------------------------


class Delivery(NamedTuple):
    """Make the destination's copy of one record equal to this. Safe to repeat.

    `op` DELETE or UPDATE (an upsert: the destination may have it or not). `deactivate`: of a DELETE, that
    the record should stay there, switched off. `local_id`: the destination's own id, if it is known.
    `id`: the hub's id of the record (its key without the entity). `table`: where it goes there. `again`: the
    system says that it has something else, so it does not count that it was told this before. `base`: what it
    is believed to have of some fields: one that has something else was edited there since we looked, and is
    left for the next look to bring, where an adapter can see that before it writes.
    """

    key: str
    id: str
    entity: str
    table: str
    op: Op
    deactivate: bool
    version: Version
    local_id: str
    fields: Fields
    again: bool = False
    base: Mapping[str, Value] = {}


class Receipt(NamedTuple):
    """What became of one delivery.

    DELIVERED: it was written, and stays written if the power fails now. UNCHANGED: it was so already.
    SUPERSEDED: the destination holds a newer version. FAILED: the destination says no to this record, and
    will again (`reason` says why, without values). RETRYING: this record could not be done now, others can
    (`retry_after_s` if it was said). HELD: a guard on what we write holds this removal until a person
    decides. `local_id`: the destination's own id, once known. `tried` False: it was never this record's turn,
    so that no attempt of its is used up.
    """

    key: str
    outcome: Outcome
    reason: str = ""
    local_id: str = ""
    retry_after_s: float | None = None
    tried: bool = True


class Listed(NamedTuple):
    """One record as a destination has it, live. `local_id`: its id there, as in a receipt, or else the hub's
    id of it. `fields`: of those that the configuration names what can be read; a blank one may be left out.
    """

    local_id: str
    fields: Fields


@runtime_checkable
class Lists(Protocol):
    """What a destination may have besides, which can say all that it has: it can be compared."""

    @property
    def listed(self) -> Collection[str]:
        """The entities that it can list, as it is configured."""
        ...

    def listing(self, entity: str) -> AsyncIterator[Sequence[Listed]]:
        """All of an entity's table, a page at a time; whole, or it raises Unavailable. Changes nothing."""
        ...


@runtime_checkable
class Destination(Protocol):
    """A system that wants to be told."""

    batch_records_max: ClassVar[int]
    """How many records one `apply` may carry. A file that is written whole wants many."""

    async def check(self) -> None:
        """Fail now, with a reason, rather than at the first delivery. Raises Unavailable or ConfigError."""
        ...

    async def apply(self, batch: Sequence[Delivery]) -> Sequence[Receipt]:
        """Write a batch: one receipt per record, in the same order. No record stands in a batch twice.

        Raises Unavailable when the system as a whole cannot answer: then all are tried again.
        """
        ...

    async def close(self) -> None:
        """Let go of everything. Twice is fine."""
        ...
