"""What has to wait with the rows of a plan that are held, so that nothing refers to what is not there.

A held create, or another id, is not there yet: whoever refers to it waits. A held removal or update leaves
its record as the hub has it: what that record refers to must not go, so its removal waits. And so on from
each of these.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from bus.messages import Op
from router.core.rekey import LINK

Name = tuple[str, str]
"""(entity, local_id): a record as its source calls it."""


class Planned(NamedTuple):
    """One row of a plan. `needs`: what must be there before it flows; `keeps`: what the record refers to as
    the hub has it now. `school`: for counting.
    """

    number: int
    name: Name
    op: str
    needs: tuple[Name, ...] = ()
    keeps: tuple[Name, ...] = ()
    school: str = ""


def dependents(held: Iterable[Planned], others: Iterable[Planned]) -> set[int]:
    """The numbers of those of `others` that cannot go without what is held.

    >>> student = Planned(1, ("student", "7"), "create")
    >>> enrollment = Planned(2, ("enrollment", "9"), "create", needs=(("student", "7"),))
    >>> dependents([student], [enrollment])
    {2}
    """
    needing: defaultdict[Name, list[Planned]] = defaultdict(list)
    removals: dict[Name, Planned] = {}
    for each in others:
        if each.op == Op.DELETE.value:
            removals[each.name] = each
        for name in each.needs:
            needing[name].append(each)
    found: set[int] = set()
    waiting = list(held)
    while waiting:
        each = waiting.pop()
        if each.op in (Op.CREATE.value, LINK):
            behind = needing.get(each.name, [])
        else:
            behind = [removals[name] for name in each.keeps if name in removals]
        for other in behind:
            if other.number not in found:
                found.add(other.number)
                waiting.append(other)
    return found
