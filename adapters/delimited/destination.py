"""A folder from which a system imports delimited files, as a destination."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from adapters.files.change import Unwritable
from adapters.files.outbox import Outbox
from bus.adapter import Delivery, Receipt, Surroundings
from bus.errors import ConfigError

from .files import Files, Table, tables_of
from .form import Dialect
from .outgoing import DestinationSettings


class Destination:
    """Writes files for each batch that changes any record. See adapters.files.outbox.

    With `kind: changes` a batch is a file of its own for each table, with a number that no other has. It
    stays until its reader takes it away, for two weeks at least.
    """

    batch_records_max: ClassVar[int] = 50_000

    def __init__(self, settings: DestinationSettings, surroundings: Surroundings) -> None:
        self._settings, self._around = settings, surroundings
        self._tables = tables_of(settings, surroundings.entities)
        files = Files(settings, self._tables)
        self._outbox = Outbox(settings, surroundings, files, changes_only=settings.kind == "changes")

    async def check(self) -> None:
        """Is the folder there, do settings and mapping agree? Raises Unavailable, ConfigError."""
        problems = [problem for table in self._tables.values() for problem in self._problems(table)]
        if unmapped := sorted(self._settings.tables.keys() - self._tables.keys()):
            problems.append(f"tables: {', '.join(unmapped)}: no entity has this table")
        if problems:
            raise ConfigError(f"{self._around.system}: {'; '.join(problems)}")
        await self._outbox.check()

    async def apply(self, batch: Sequence[Delivery]) -> Sequence[Receipt]:
        """Take the batch and write the files. Raises Unavailable when there is no room, or no folder."""
        return await self._outbox.apply(batch)

    async def close(self) -> None:
        """Let go of the SQLite file. Twice is fine."""
        await self._outbox.close()

    def _problems(self, table: Table) -> Iterator[str]:
        name, operation = table.name, self._settings.operation
        if "/" in name or name.startswith("."):
            yield f'"{name}" cannot stand in the name of a file. Name the table otherwise'
        for column in sorted(
            (table.mapped | table.dates.keys() | table.deactivated.keys()) - {*table.columns}
        ):
            yield f"{name} has no column {column}"
        if operation and operation.column in table.mapped:
            yield f"{name}: column {operation.column} is mapped, and is the one that says the operation"
        if self._settings.kind == "changes" and not operation and not table.deletes:
            yield f"{name}: nothing says what is gone. Add operation:, or deletes: to tables.{name}"
        fits = Dialect.of(self._settings).fits()
        for column in table.columns:
            try:
                fits(f"column {column}", column)
            except Unwritable as why:
                yield f"{name}: {why}"
