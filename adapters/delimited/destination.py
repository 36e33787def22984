"""A folder from which a system imports delimited files, as a destination."""

from adapters.files.outbox import Outbox
from bus.adapter import Surroundings

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
