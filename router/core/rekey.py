"""All ids of a source have changed overnight: the same records under other ids, no leavers and newcomers.

Nearly all records of an entity have gone from a school, and most of them are recognised by the match rules
among those that are new. Then each of these is linked anew, and goes on under its key.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from router.core.rules import EntityRule

LINK: Final = "link"
"""What a plan does with such a record, beside create, update and delete: it gets another id."""

GONE_SHARE: Final = 0.9
GONE_MIN: Final = 5
MATCHED_SHARE: Final = 0.5
"""Of those that have gone: over a summer others leave, and others come."""


def gone_from(
    removals: Mapping[tuple[str, str], int], populations: Mapping[tuple[str, str], int], entity: str
) -> set[str]:
    """The schools from which nearly all records of an entity have gone ('' : those without one).

    >>> sorted(gone_from({("x", "a"): 95, ("x", "b"): 3}, {("x", "a"): 100, ("x", "b"): 60}, "x"))
    ['a']
    """
    return {
        school
        for (of, school), count in removals.items()
        if of == entity and count >= max(GONE_MIN, GONE_SHARE * populations.get((of, school), 0))
    }


def is_rekey(gone: int, matched: int) -> bool:
    """Are most of those that have gone among the new ones?"""
    return gone > 0 and matched >= MATCHED_SHARE * gone


def pairs(found: Iterable[tuple[int, str]]) -> dict[int, str]:
    """Which new row is which record, out of (row, key): where no other new row is that record too.

    >>> pairs([(1, "x/a"), (2, "x/b"), (3, "x/b")])
    {1: 'x/a'}
    """
    rows = list(found)
    counts: dict[str, int] = {}
    for _, key in rows:
        counts[key] = counts.get(key, 0) + 1
    return {row: key for row, key in rows if counts[key] == 1}


def can_match(rules: EntityRule) -> bool:
    """Is there anything by which a record of it is recognised?"""
    return bool(rules.match or rules.identity)
