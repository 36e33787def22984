"""What has to be at a destination before a record is: pure, from what the ledger says is there."""

from collections.abc import Collection
from typing import Final, NamedTuple

from bus.messages import Record
from router.core.delivery import HELD_UNKNOWN
from router.core.identity import UNKNOWN
from router.core.rules import EntityRule


class There(NamedTuple):
    """What a destination has of a record. `rev`: settled up to it. `hash` '' : it holds nothing. `listed`: it
    is on its work list. `failed`: why its delivery failed, or ''. `own_id`: it has an id of its own for it.
    """

    rev: int
    hash: str
    listed: bool
    failed: str
    own_id: bool = False

    @property
    def is_held(self) -> bool:
        """It is there, as far as is known."""
        return self.hash not in ("", HELD_UNKNOWN)

    def may_be_gone(self, rev: int) -> bool:
        """Held as far as is known, of a record in that rev: it may have been told to go meanwhile, without an
        answer, as more than its newest change is on the way. Brought back, it may get another id there.

        >>> There(1, "a1", True, "").may_be_gone(3), There(2, "a1", True, "").may_be_gone(3)
        (True, False)
        """
        return self.listed and rev > self.rev + 1


NOT_THERE: Final = There(0, "", False, "")
MAY_BE_GONE: Final = "may have been taken away, and is on its way back"


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


def still_there(there: There) -> str:
    """Why a removal has to wait for a record that stands on what is to go.

    >>> still_there(There(3, "a1", True, "")), still_there(There(3, "a1", False, "422"))
    ('goes first', 'has to go first, and failed there (422)')
    """
    if there.failed and not there.listed:
        return f"has to go first, and failed there ({there.failed})"
    return "goes first"


def targets(record: Record, fields: Collection[str]) -> frozenset[str]:
    """The keys of what a record refers to by these fields, without those that nobody knows yet."""
    if record.deleted:
        return frozenset()
    found: list[object] = []
    for name in fields:
        value = record.values.get(name)
        found += value if isinstance(value, tuple) else (value,)
    return frozenset([str(key) for key in found if key and not str(key).startswith(f"{UNKNOWN}/")])


def required_references(entity: EntityRule, told: Collection[str]) -> tuple[str, ...]:
    """The fields without whose records a destination that is `told` of these entities cannot have one."""
    return tuple(
        [
            field.name
            for field in entity.fields.values()
            if field.required and any(to in told for to in field.to)
        ]
    )
