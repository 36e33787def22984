"""Delimited text files of any form, all records or changes only, as a source and as a destination.

form: how a file is written down     values: values <-> text        outgoing, incoming: the settings
files: records -> files              destination: what is told to the system
mapped: what of a mapping fits
sets: files that belong together     layout: what a header says     reading: a set, whole or refused
source: what a system tells us     listing: our own files, read back
(the folders themselves: adapters/files)
"""

from .destination import Destination
from .incoming import SourceSettings
from .outgoing import DestinationSettings
from .source import Source

__all__ = ["Destination", "DestinationSettings", "Source", "SourceSettings"]
