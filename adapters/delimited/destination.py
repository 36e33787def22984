"""A folder from which a system imports delimited files, as a destination."""

from collections.abc import Iterable, Sequence

from adapters.files.outbox import Outbox
from bus.adapter import EntityShape, Misfit, Surroundings, must_fit

from . import mapped
from .files import Files
from .outgoing import DestinationSettings


class Destination(Outbox):
    """Writes files for each batch that changes any record.

    With `kind: changes` a batch is a file of its own for each table, with a number that no other has. It
    stays until its reader takes it away, for two weeks at least.
    """

    def __init__(self, settings: DestinationSettings, surroundings: Surroundings) -> None:
        files = Files(settings, surroundings.entities)
        super().__init__(settings, surroundings, files, changes_only=settings.kind == "changes")
        self._misfits = tuple(self.misfits(settings, surroundings.entities))

    async def check(self) -> None:
        must_fit(self._around.system, self._misfits)
        await super().check()

    @staticmethod
    def misfits(settings: DestinationSettings | None, shapes: Sequence[EntityShape]) -> Iterable[Misfit]:
        """What settings and mapping say differently. See Misfit."""
        return mapped.misfits(settings, shapes) if settings else ()
