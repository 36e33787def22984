"""A folder into which a system exports delimited files, as a source."""

from collections.abc import AsyncIterator

from adapters.files.settle import Candidate
from adapters.files.shelf import Shelf
from adapters.files.source import Inbox
from bus.adapter import Reading, Surroundings
from bus.errors import ConfigError

from .incoming import SourceSettings, TableIn
from .reading import DelimitedReading
from .sets import Sets


class Source:
    """Gives each settled set of files once, oldest first. What lies in the folder is unfinished work."""

    def __init__(self, settings: SourceSettings, surroundings: Surroundings) -> None:
        self._settings, self._around = settings, surroundings
        self._sets = Sets(settings, dict.fromkeys(entity.table for entity in surroundings.entities))
        self._inbox = Inbox(settings, surroundings, self._sets.candidates, self._reading)

    async def check(self) -> None:
        """Is the folder there, do settings and mapping agree? Raises Unavailable, ConfigError."""
        problems = []
        for entity in self._around.entities:
            columns = self._settings.tables.get(entity.table, TableIn()).columns
            names = dict.fromkeys([entity.id_field, *(name for name, _ in entity.fields)])
            if not self._settings.header:
                problems += [f"{entity.table}: no column {name}" for name in names if name not in columns]
        mapped = {entity.table for entity in self._around.entities}
        if unmapped := sorted(self._settings.tables.keys() - mapped):
            problems.append(f"tables: {', '.join(unmapped)}: no entity has this table")
        if problems:
            raise ConfigError(f"{self._around.system}: {'; '.join(problems)}")
        await self._inbox.check()

    def read(self) -> AsyncIterator[Reading]:
        """Wait for files, for ever. Raises Unavailable if the folder cannot be read."""
        return self._inbox.read()

    async def close(self) -> None:
        """Nothing stays open between readings."""

    def _reading(self, candidate: Candidate, shelf: Shelf) -> DelimitedReading:
        return DelimitedReading(
            candidate, shelf, settings=self._settings, sets=self._sets, entities=self._around.entities
        )
