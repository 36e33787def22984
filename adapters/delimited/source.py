"""A folder into which a system exports delimited files, as a source."""

from collections.abc import AsyncIterator, Iterable, Sequence

from adapters.files.settle import Candidate
from adapters.files.shelf import Shelf
from adapters.files.source import Inbox
from bus.adapter import EntityShape, Misfit, Reading, Surroundings, must_fit

from . import mapped
from .incoming import SourceSettings
from .reading import DelimitedReading
from .sets import Sets


class Source:
    """Gives each settled set of files once, oldest first. What lies in the folder is unfinished work."""

    def __init__(self, settings: SourceSettings, surroundings: Surroundings) -> None:
        self._settings, self._around = settings, surroundings
        self._sets = Sets(settings, dict.fromkeys(entity.table for entity in surroundings.entities))
        self._inbox = Inbox(settings, surroundings, self._sets.candidates, self._reading)

    @staticmethod
    def misfits(settings: SourceSettings | None, shapes: Sequence[EntityShape]) -> Iterable[Misfit]:
        """What settings and mapping say differently. See Misfit."""
        return mapped.unread(settings, shapes) if settings else ()

    async def check(self) -> None:
        """Is the folder there, do settings and mapping agree? Raises Unavailable, ConfigError."""
        must_fit(self._around.system, self.misfits(self._settings, self._around.entities))
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
