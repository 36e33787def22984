"""What a delivery does to a row of a file."""

from typing import NamedTuple

from .held import Cells


class Unwritable(Exception):
    """Why a record cannot stand in the file. Names fields, never values."""


class Change(NamedTuple):
    """`place` is where the delivery stands in its batch. `before` and `after` None: there is no such row.

    `elsewhere`: the system's own id of a record that it has, though we never wrote it. `again`: it was told
    this, and says that it has something else.
    """

    place: int
    table: str
    id: str
    version: int
    before: Cells | None
    after: Cells | None
    elsewhere: str = ""
    again: bool = False

    @property
    def visible(self) -> bool:
        """Not only a newer version of the same."""
        return self.again or self.before != self.after or bool(self.elsewhere and self.after is None)

    @property
    def removal(self) -> bool:
        """A row that is there would go."""
        return self.before is not None and self.after is None

    @property
    def grown(self) -> int:
        return (self.after is not None) - (self.before is not None)


def encodable(text: str, encoding: str = "utf-8") -> bool:
    """Does it fit a file in this encoding? Python holds halves of characters, which fit none."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
