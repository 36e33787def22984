"""OneRoster CSV 1.1 and 1.2, bulk and delta, as a source and as a destination.

tables: the files of the standard       text: bytes -> checked lines       header, rows, manifest: their rules
package: one zip or loose set, whole    settle: the watched folder         shelf: done/ and refused/
people: 1.2's roles beside their users  reading: all of these as one bus.adapter.Reading
destination: the other way              held: what it holds, in SQLite     cells: fields -> cells
file: what its zip has in it            writing: a package, atomically
sample*: an invented district that grows day by day
"""

from .destination import Destination, DestinationSettings
from .source import Source, SourceSettings

__all__ = ["Destination", "DestinationSettings", "Source", "SourceSettings"]
