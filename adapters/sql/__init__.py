"""Tables of a database as a destination: one per entity, typed, one row per record, newest version wins.

`dialect` has all SQL text, `rows` decides without a database what a batch writes, `destination` does the I/O.
"""

from adapters.sql.destination import Destination, Settings

__all__ = ["Destination", "Settings"]
