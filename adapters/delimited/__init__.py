"""Delimited text files of any form, all records or changes only, as a source and as a destination.

form: how a file is written down         values: values <-> text           outgoing: a destination's settings
files: records -> files                  destination: what becomes of each delivery
(the folders themselves: adapters/files)
"""

from .destination import Destination
from .outgoing import DestinationSettings

__all__ = ["Destination", "DestinationSettings"]
