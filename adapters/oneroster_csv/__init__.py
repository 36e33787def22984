"""OneRoster CSV 1.1 and 1.2, bulk and delta, as a source and as a destination.

tables: the files of the standard       candidates: what may be a package  header, rows, manifest: their rules
package: one zip or loose set, whole    people: 1.2's roles beside their users
reading: all of these as one bus.adapter.Reading
destination: the other way              cells: fields -> cells             file: what its zip has in it
mapped: what of a mapping the standard has
writing: CSV into a zip or a folder     (the folders themselves: adapters/files)
sample*: an invented district that grows day by day
"""

from .destination import Destination, DestinationSettings
from .source import Source, SourceSettings

__all__ = ["Destination", "DestinationSettings", "Source", "SourceSettings"]
