"""All records of a table, page by page: each of them once, or it is said that it was not so."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from yarl import URL

from adapters.http.bodies import Json, Refused, body_of, holds, look
from adapters.http.meaning import Meaning
from adapters.http.settings import List, Request, Table
from adapters.http.wire import Answer, Lost, Wire
from bus.adapter import EntityShape, Listed
from bus.errors import Unavailable
from bus.messages import Value


class Listing:
    """Of one system; `where` names it, and `url` is what comes before each path."""

    def __init__(self, wire: Wire, meaning: Meaning, where: str, url: str) -> None:
        self._wire = wire
        self._meaning = meaning
        self._where = where
        self._base = str(URL(url.rstrip("/")))

    async def pages(self, table: Table, how: List, shape: EntityShape) -> AsyncIterator[Sequence[Listed]]:
        """All that are not switched off. Raises Unavailable, also if the list moved while it was read."""
        seen: set[str] = set()
        off = body_of({}, table.deactivate_body)
        start: Request | None = how.start(table.path_of(shape.table))
        request, number = start, 0
        while request is not None:
            answer = await self._asked(request)
            records = self._records(answer, how)
            ids = [self._id(each, how, shape) for each in records]
            again = len(seen) + len(ids) - len(seen.union(ids))
            if again:
                raise self._not_whole(shape, f"{again} records were there twice")
            seen.update(ids)
            yield [
                Listed(id_, {name: _value(each, name) for name, _ in shape.fields})
                for id_, each in zip(ids, records, strict=True)
                if not (off and holds(each, off))
            ]
            number += 1
            request = self._following(how, table.path_of(shape.table), answer, number, len(seen), bool(ids))
        total = look(answer.says, how.total) if how.total else len(seen)
        if total != len(seen):
            raise self._not_whole(shape, f"{len(seen)} of {total} were given")

    async def _asked(self, request: Request) -> Answer:
        try:
            answer = await self._wire.ask(request)
        except Lost as lost:
            raise self._meaning.lost(lost) from lost
        if not answer.good:
            raise self._meaning.unavailable(answer)
        return answer

    def _records(self, answer: Answer, how: List) -> list[Json]:
        found = look(answer.says, how.records)
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            place = how.records or "the answer"
            raise self._unreadable(f"{place} is no list of records. See list.records in the settings")
        return found

    def _id(self, record: Json, how: List, shape: EntityShape) -> str:
        found = look(record, how.local_id or shape.id_field)
        if not isinstance(found, str | int) or isinstance(found, bool) or found == "":
            raise self._unreadable(f"a record without {how.local_id or shape.id_field} was given")
        return str(found)

    def _following(
        self, how: List, table_path: str, answer: Answer, number: int, count: int, more: bool
    ) -> Request | None:
        """The request for the next page. `number`: of pages so far, `count`: of records."""
        path = how.path.replace("{path}", table_path)
        if how.next == "link" and answer.next:
            if not answer.next.startswith(f"{self._base}/"):  # a token goes where a person has said
                raise self._unreadable("its next page is at another address. See url in the settings")
            return Request("GET", answer.next.removeprefix(self._base))
        if how.next == "page" and more:
            return how.following(path, how.first + number)
        if how.next == "offset" and more:
            return how.following(path, count)
        if how.next == "cursor" and (cursor := look(answer.says, how.cursor)):
            return how.following(path, cursor)
        return None

    def _not_whole(self, shape: EntityShape, what: str) -> Unavailable:
        return self._unreadable(
            f"the list of {shape.table} is not whole: {what}. It may have moved meanwhile"
        )

    def _unreadable(self, what: str) -> Unavailable:
        return Unavailable(f"{self._where}: {what}", runbook="http-unavailable")


def _value(record: Json, name: str) -> Value:
    try:
        found: Any = look(record, name)
    except Refused:
        return None
    if isinstance(found, list):
        return tuple(str(each) for each in found)
    return found if isinstance(found, str | int | float | bool) else None
