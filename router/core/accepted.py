"""Fields that get other values, and what that makes of what other systems said of them."""

from collections.abc import Mapping
from typing import NamedTuple

from bus.messages import Conflict, Seen, Value
from router.core.rules import NOTHING_NORMAL, Invariant, Normal

Unit = tuple[str, ...]
"""Fields that are decided together: one, or a group."""


class Accepted(NamedTuple):
    """A unit that gets other values, and by which rule; `conflict` if another system's had to yield."""

    unit: Unit
    values: tuple[Value, ...]
    rule: str
    conflict: Conflict | None = None


def holds(invariant: Invariant, values: Mapping[str, Value]) -> bool:
    """Does it hold for a record with these values? An expression that has no value here (a date that is not
    given) is not broken.
    """
    try:
        return invariant.program.execute({n: values.get(n) for n in invariant.program.variables}) is not False
    except Exception:
        return True


def same(normal: Mapping[str, Normal], name: str, mine: Value, theirs: Value) -> bool:
    """Are two values of a field one, as a system writes them?"""
    return mine == theirs or (name in normal and normal[name](mine) == normal[name](theirs))


def after_change(
    theirs: Seen, each: Accepted, old: Mapping[str, Value], normal: Mapping[str, Normal] = NOTHING_NORMAL
) -> Seen:
    """What another system said, in terms of a record that now has other values. `old`: those of before;
    `normal`: how that system writes its fields.
    """
    said, claims = dict(theirs.said), dict(theirs.claims)
    for name, value in zip(each.unit, each.values, strict=True):
        if name not in theirs.names:
            continue
        says = said[name] if name in said else old.get(name)
        if same(normal, name, says, value):
            said.pop(name, None)
        else:
            said[name] = says
        claims.pop(name, None)
    return theirs._replace(said=said, claims=claims)
