"""Fields that get other values, and what that makes of what other systems said of them."""

from collections.abc import Mapping
from typing import NamedTuple

from bus.messages import Conflict, Seen, Value

Unit = tuple[str, ...]
"""Fields that are decided together: one, or a group."""


class Accepted(NamedTuple):
    """A unit that gets other values, and by which rule; `conflict` if another system's had to yield."""

    unit: Unit
    values: tuple[Value, ...]
    rule: str
    conflict: Conflict | None = None


def after_change(theirs: Seen, each: Accepted, old: Mapping[str, Value]) -> Seen:
    """What another system said, in terms of a record that now has other values. `old`: those of before."""
    said, claims = dict(theirs.said), dict(theirs.claims)
    for name, value in zip(each.unit, each.values, strict=True):
        if name not in theirs.names:
            continue
        says = said[name] if name in said else old.get(name)
        if says == value:
            said.pop(name, None)
        else:
            said[name] = says
        claims.pop(name, None)
    return theirs._replace(said=said, claims=claims)
