"""A read against its limits: is what came the whole, or a part that looks like it?"""

from collections.abc import Mapping
from typing import Final

from router.core.rules import Guards

LOST_ROWS_MIN: Final = 10
"""Losing fewer rows than this is no evidence: a class of five that loses two has not been truncated."""

ROWS_MIN: Final = 50
SCHOOL_ROWS_MIN: Final = 150
FEW_SHRINK_MAX: Final = 0.5
"""Of fewer rows than these (of an entity, and of it at one school) up to half may go: rows of one person go
together, so that three pupils who leave take a fifth of the enrollments of a school of twenty.
"""

Counts = Mapping[tuple[str, str], int]
"""Rows by (entity, school); school '' where the entity has none."""


def shrunk(before: Counts, after: Counts, guards: Guards) -> list[str]:
    """Where a read is smaller than the last good one by more than the limit: evidence of truncation.

    Looks at each school of each entity, and at each entity as a whole. An entity that has lost all its rows
    is always evidence; else a loss of fewer than ten rows is not. Of few rows it takes more than half.

    >>> shrunk({("class", ""): 100}, {("class", ""): 70}, Guards())
    ['class: 70 rows, the last good read had 100 (limit 20 % fewer)']
    """
    reasons = []
    now = _with_totals(after)
    for (entity, school), old in sorted(_with_totals(before).items()):
        new = now.get((entity, school), 0)
        lost = old - new
        many = old >= (SCHOOL_ROWS_MIN if school else ROWS_MIN)
        share = guards.shrink_max if many else max(guards.shrink_max, FEW_SHRINK_MAX)
        if lost > old * share and (lost >= LOST_ROWS_MIN or (new == 0 and not school)):
            where = entity if not school else f"{entity}, school {school}"
            limit = round(share * 100)
            reasons.append(f"{where}: {new} rows, the last good read had {old} (limit {limit} % fewer)")
    return reasons


def _with_totals(counts: Counts) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for (entity, school), count in counts.items():
        if school:
            found[entity, school] = found.get((entity, school), 0) + count
        found[entity, ""] = found.get((entity, ""), 0) + count
    return found


def dangling(rows: Mapping[str, int], loose: Mapping[str, int], guards: Guards) -> list[str]:
    """Where more rows refer to nothing than the limit: `rows` and `loose` count by entity.

    >>> dangling({"enrollment": 1000}, {"enrollment": 11}, Guards())
    ['enrollment: 11 of 1000 rows refer to records that are not there (limit 1 %)']
    """
    limit = round(guards.dangling_max * 100, 2)
    return [
        f"{entity}: {count} of {rows[entity]} rows refer to records that are not there (limit {limit:g} %)"
        for entity, count in sorted(loose.items())
        if count > rows[entity] * guards.dangling_max
    ]
