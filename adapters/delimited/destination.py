"""A folder from which a system imports delimited files, as a destination."""

import asyncio
import csv
import re
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from adapters.files.outbox import Outbox
from bus.adapter import EntityShape, Listed, Misfit, Surroundings, must_fit

from . import mapped
from .files import Files, tables_of
from .listing import read_back
from .outgoing import DestinationSettings

_PAGE: Final = 1_000


class Destination(Outbox):
    """Writes files for each batch that changes any record.

    With `kind: changes` a batch is a file of its own for each table, with a number that no other has. It
    stays until its reader takes it away, for two weeks at least.
    """

    def __init__(self, settings: DestinationSettings, surroundings: Surroundings) -> None:
        files = Files(settings, surroundings.entities)
        super().__init__(settings, surroundings, files, changes_only=settings.kind == "changes")
        self._form, self._shapes = settings, {shape.entity: shape for shape in surroundings.entities}
        self._misfits = tuple(self.misfits(settings, surroundings.entities))

    async def check(self) -> None:
        must_fit(self._around.system, self._misfits)
        await super().check()

    @property
    def listed(self) -> Collection[str]:
        """All; none where the files have only what changed."""
        return () if self._form.kind == "changes" else self._shapes

    async def listing(self, entity: str) -> AsyncIterator[Sequence[Listed]]:
        """All rows of the newest file of an entity's table. Raises Unavailable, also if it has gone."""
        rows = await asyncio.to_thread(self._rows, self._shapes[entity])
        try:
            while page := await asyncio.to_thread(list, islice(rows, _PAGE)):
                yield page
        except FileNotFoundError:
            what = (
                "the newest file is not there any more, so what it has cannot be read back. Who took it away?"
            )
            raise self._cannot(what) from None
        except (OSError, ValueError, csv.Error) as error:
            raise self._cannot(f"the newest file cannot be read back: {type(error).__name__}") from error

    def _rows(self, shape: EntityShape) -> Iterator[Listed]:
        table = tables_of(self._form, tuple(self._shapes.values()))[shape.table]
        names, others = self._newest(table.name, table.id_field)
        pattern = table.file.pattern(re.escape(table.name))
        found = [name for name in names if pattern.fullmatch(name)]
        return (
            read_back(self._form.folder / found[0], self._form, table, shape, others) if found else iter(())
        )

    @staticmethod
    def misfits(settings: DestinationSettings | None, shapes: Sequence[EntityShape]) -> Iterable[Misfit]:
        """What settings and mapping say differently. See Misfit."""
        return mapped.misfits(settings, shapes) if settings else ()
