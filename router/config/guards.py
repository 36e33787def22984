"""`guards:` of district.yaml: what a read may do before a person is asked, and when nothing flows."""

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo

from router.config.documents import GuardsEntry, LimitEntry
from router.config.positions import Document, Problem
from router.core.rules import Guards, Limit


def compile_guards(says: GuardsEntry, zone: tzinfo) -> Guards:
    """As every step decides by them. Dates that are none are left out: `wrong_guards` has told of them."""
    windows = [(_instant_ms(each.from_, zone), _instant_ms(each.until, zone)) for each in says.blackouts]
    return Guards(
        dangling_max=says.dangling_max,
        shrink_max=says.shrink_max,
        first_read=says.first_read,
        population_min=says.population_min,
        approval_s=says.approval,
        blackouts=tuple((begin, end) for begin, end in windows if begin is not None and end is not None),
        creates=_limit(says.creates),
        updates=_limit(says.updates),
        removes=_limit(says.removes),
        district_creates=_limit(says.district.creates),
        district_updates=_limit(says.district.updates),
        district_removes=_limit(says.district.removes),
    )


def wrong_guards(document: Document, says: GuardsEntry) -> Iterator[Problem]:
    """Dates that are none, and windows that end before they begin."""
    for n, each in enumerate(says.blackouts):
        place = ("guards", "blackouts", n)
        begin, end = _instant_ms(each.from_, UTC), _instant_ms(each.until, UTC)
        for key, text, at_ms in (("from", each.from_, begin), ("until", each.until, end)):
            if at_ms is None:
                yield document.problem((*place, key), f'"{text}" is no date (expected one as in 2026-08-15)')
        if begin is not None and end is not None and end <= begin:
            yield document.problem((*place, "until"), f'"{each.until}" is not after {each.from_}')


def _limit(says: LimitEntry) -> Limit:
    return Limit(share=says.share, records=says.records)


def _instant_ms(text: str, zone: tzinfo) -> int | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int((at if at.tzinfo else at.replace(tzinfo=zone)).timestamp() * 1000)
