"""All accounts of a service, page by page: each of them once, or it is said that it was not so.

A list of pages moves while it is read: somebody comes or goes, and what follows shifts over the edge of a
page. So each page begins with the last account of the one before; one that does not has shifted.
"""

from collections.abc import AsyncIterator
from typing import Any

from adapters.scim.attributes import Json, get
from adapters.scim.wire import Wire


class Incomplete(Exception):
    """What was read is not the whole: the list moved, or the service did not give all of it."""


async def pages(wire: Wire, resource: str, count: int) -> AsyncIterator[list[Json]]:
    """Each of a resource once, at most `count` at a time. Raises Incomplete, Answer or Lost."""
    expected: int | None = None
    seen: set[str] = set()
    last, start = "", 1
    while True:
        answer = await wire.page(resource, start, count)
        total, there = _total(answer, resource), _resources(answer)
        if expected is not None and total != expected:
            raise Incomplete(f"{resource}: there were {expected}, then {total} while they were read")
        expected = total
        ids = [_id(each, resource) for each in there]
        if last and (not ids or ids[0] != last):
            raise Incomplete(f"{resource}: the list moved while it was read, at {start} of {total}")
        news = {id_: each for id_, each in zip(ids, there, strict=True) if id_ not in seen}
        fresh = list(news.values())
        seen.update(news)
        if fresh:
            yield fresh
        if len(seen) >= total:
            return
        if not fresh:
            raise Incomplete(f"{resource}: {len(seen)} of {total} were given")
        last, start = ids[-1], start + len(ids) - 1


def _total(answer: Json, resource: str) -> int:
    total = get(answer, "totalResults")
    if not isinstance(total, int) or isinstance(total, bool):
        raise Incomplete(f"{resource}: an answer without totalResults (a ListResponse expected)")
    return total


def _resources(answer: Json) -> list[Json]:
    found: Any = get(answer, "Resources") or []
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _id(each: Json, resource: str) -> str:
    id_ = get(each, "id")
    if not isinstance(id_, str) or not id_:
        raise Incomplete(f"{resource}: one without an id was given")
    return id_
