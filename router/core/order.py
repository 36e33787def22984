"""What has to be at a destination before a record is: pure, from what the ledger says is there."""

from typing import Final, NamedTuple

from router.core.delivery import HELD_UNKNOWN


class There(NamedTuple):
    """What a destination has of a record. `rev`: settled up to it. `hash` '' : it holds nothing. `listed`: it
    is on its work list. `failed`: why its delivery failed, or ''.
    """

    rev: int
    hash: str
    listed: bool
    failed: str

    @property
    def is_held(self) -> bool:
        """It is there for sure."""
        return self.hash not in ("", HELD_UNKNOWN)


NOT_THERE: Final = There(0, "", False, "")


def not_yet(there: There, rev: int) -> str:
    """Why what waits for a record in that rev to be somewhere has to wait, or '' if it may go.

    It waits until the record is held there. What is not to be there at all is not waited for; what failed
    there is, because a person may mend it.

    >>> not_yet(There(3, "a1", False, ""), 3), not_yet(There(3, "", False, ""), 3)
    ('', '')
    >>> not_yet(There(2, "", False, ""), 3), not_yet(There(3, "", False, "422"), 3)
    ('is not there yet', 'failed there (422)')
    """
    if there.is_held:
        return ""
    if there.listed or there.rev < rev:
        return "is not there yet"
    if there.failed:
        return f"failed there ({there.failed})"
    return "may be there or not" if there.hash else ""
