"""Many records in one request. Where one of them spoils it for all, each goes alone."""

from collections.abc import Callable, Sequence
from typing import Any

from adapters.http.bodies import Json, Refused, look
from adapters.http.meaning import BAD, GONE, Meaning
from adapters.http.settings import Batch, Request, Table
from adapters.http.wire import Answer, Lost, Wire
from bus.adapter import Delivery, Receipt
from bus.errors import Unavailable
from bus.messages import Op, Outcome

Results = list[Receipt | Unavailable]


class Batches:
    """Of one system. `entry` makes a record's JSON, `local_id_in` finds the system's own id in an answer."""

    def __init__(
        self,
        wire: Wire,
        meaning: Meaning,
        entry: Callable[[Table, Delivery], Json],
        local_id_in: Callable[[Table, Any], str],
    ) -> None:
        self._wire = wire
        self._meaning = meaning
        self._entry = entry
        self._local_id_in = local_id_in

    async def tell(self, table: Table, part: Sequence[Delivery]) -> Results | Unavailable:
        """What became of each. Unavailable is given, not raised: others are under way."""
        entries: dict[str, Json] = {}
        results: dict[str, Receipt | Unavailable] = {}
        for delivery in part:
            try:
                entries[delivery.key] = self._entry(table, delivery)
            except Refused as refused:
                results[delivery.key] = Receipt(delivery.key, Outcome.FAILED, str(refused), delivery.local_id)
        sound = [delivery for delivery in part if delivery.key in entries]
        try:
            if sound:
                told = await self._sent(table, sound, entries)
                results.update(zip((delivery.key for delivery in sound), told, strict=True))
        except Unavailable as unavailable:
            results.update({delivery.key: unavailable for delivery in sound})
            if not len(sound) < len(part):
                return unavailable
        return [results[delivery.key] for delivery in part]

    async def _sent(self, table: Table, part: Sequence[Delivery], entries: dict[str, Json]) -> Results:
        """Raises Unavailable if the whole part was not taken."""
        assert table.batch is not None
        answer = await self._asked(table.batch, [entries[delivery.key] for delivery in part])
        if answer.good:
            return self._each(table, table.batch, part, answer)
        if answer.status not in BAD:
            raise self._meaning.unavailable(answer)
        if len(part) == 1:
            return [self._meaning.of(part[0], answer)]
        results: Results = []
        for delivery in part:
            results += await self._sent(table, [delivery], entries)
        return results

    async def _asked(self, batch: Batch, records: list[Json]) -> Answer:
        """Once more if the answer was lost: each record says what it is to be, however often."""
        request, body = Request("POST", batch.path), {"records": records}
        try:
            return await self._wire.ask(request, body)
        except Lost as lost:
            if not lost.sent:
                raise self._meaning.lost(lost) from lost
        try:
            return await self._wire.ask(request, body)
        except Lost as lost:
            raise self._meaning.lost(lost) from lost

    def _each(self, table: Table, batch: Batch, part: Sequence[Delivery], answer: Answer) -> Results:
        found = look(answer.says, batch.results)
        if found is None:  # all or nothing
            return [Receipt(delivery.key, Outcome.DELIVERED, "", delivery.local_id) for delivery in part]
        if not isinstance(found, list) or len(found) != len(part):
            raise self._meaning.lost(Lost(f"not one result for each of {len(part)} records", sent=True))
        return [self._one(table, delivery, result) for delivery, result in zip(part, found, strict=True)]

    def _one(self, table: Table, delivery: Delivery, result: Any) -> Receipt | Unavailable:
        status = result.get("status", 200) if isinstance(result, dict) else None
        if not isinstance(status, int):
            return self._meaning.lost(Lost("a result without a status", sent=True))
        local_id = self._local_id_in(table, result) or delivery.local_id
        answer = Answer(status, result, str(result), "", "")
        if answer.good:
            return Receipt(delivery.key, Outcome.DELIVERED, "", local_id)
        if delivery.op is Op.DELETE and status in GONE:
            return Receipt(delivery.key, Outcome.UNCHANGED, "", delivery.local_id)
        try:
            return self._meaning.of(delivery, answer)
        except Unavailable as unavailable:
            return unavailable
