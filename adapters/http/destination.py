"""One record at a time, or a batch of them: looked at where that can be done, and written where it differs.

What only the system can know is asked of it again: a record that was not as it seemed (404, 409, 412), and a
write whose answer was lost.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any, ClassVar, Final, NamedTuple

from adapters.http import mapped
from adapters.http.batches import Batches
from adapters.http.bodies import Json, Refused, body_of, holds, look, only
from adapters.http.credentials import credentials_of
from adapters.http.listing import Listing
from adapters.http.meaning import GONE, IN_THE_WAY, LOOK_AGAIN, Meaning
from adapters.http.settings import Request, Settings, Table
from adapters.http.wire import Answer, Lost, Wire
from adapters.web.answers import trust
from adapters.web.turns import in_turns, receipts
from bus.adapter import Delivery, EntityShape, Listed, Misfit, Receipt, Surroundings, must_fit
from bus.errors import ConfigError, Unavailable
from bus.messages import Op, Outcome

Results = list[Receipt | Unavailable]

_NO_ID: Final = "its own id there is not known: see local_id in the table's settings"


class NotSo(Exception):
    """An answer that is no success."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class There(NamedTuple):
    """A record as the system has it; `etag` is that of `request`'s path."""

    record: Json
    local_id: str
    request: Request
    etag: str


class Destination:
    """A system that is told over HTTP."""

    batch_records_max: ClassVar[int] = 200

    def __init__(self, settings: Settings, surroundings: Surroundings) -> None:
        """Raises ConfigError for a mapping that cannot be told."""
        system = surroundings.system
        self._settings = settings
        self._where = f"{system}: {settings.url}"
        must_fit(system, self.misfits(settings, surroundings.entities))
        tables = {shape.table for shape in surroundings.entities}
        self._tables = {name: settings.tables.get(name, Table()) for name in tables}
        self._shapes = {shape.entity: shape for shape in surroundings.entities}
        self._id_fields = {shape.entity: shape.id_field for shape in surroundings.entities}
        self._meaning = Meaning(self._where, surroundings.now_ms)
        self._wire = Wire(
            settings.url,
            {name: value.get_secret_value() for name, value in settings.headers.items()},
            credentials_of(settings, system, surroundings.now_ms),
            settings.timeout_s,
            surroundings.concurrent,
            trust(settings.url, settings.verify, system),
        )
        self._at_once = surroundings.concurrent
        self._listing = Listing(self._wire, self._meaning, self._where, settings.url)
        self._batches = Batches(self._wire, self._meaning, self._entry, _local_id_in)

    @staticmethod
    def misfits(settings: Settings | None, shapes: Sequence[EntityShape]) -> Iterable[Misfit]:
        """Fields in each other's way, tables that nothing goes to. See Misfit."""
        return mapped.misfits(settings, shapes)

    async def check(self) -> None:
        """Does it answer, and let us in? Without a `check` path any answer will do that does not shut us out.

        Raises Unavailable or ConfigError.
        """
        path = self._settings.check
        try:
            answer = await self._wire.ask(Request("GET", path))
        except Lost as lost:
            raise self._meaning.lost(lost) from lost
        if path and answer.status in GONE:
            raise ConfigError(f"{self._where}{path}: {answer.status}. See url and check in the settings")
        shut_out = answer.status in (401, 403) or answer.status >= 500
        if shut_out or (path and not answer.good):
            raise self._meaning.unavailable(answer)

    async def apply(self, batch: Sequence[Delivery]) -> Sequence[Receipt]:
        """Bring each record up to date. Raises Unavailable if none could be."""
        results: dict[str, Receipt | Unavailable] = {}
        parts = self._parts(batch)
        calls: list[Callable[[], Any]] = [call for _, call in parts]
        for (part, _), result in zip(parts, await in_turns(self._at_once, calls), strict=True):
            found = [result] * len(part) if isinstance(result, Unavailable) else result
            results.update(zip((delivery.key for delivery in part), found, strict=True))
        await self._once_more(batch, results)
        return receipts(batch, [results[delivery.key] for delivery in batch])

    @property
    def listed(self) -> Collection[str]:
        """Those of whose table the settings say where all records can be read."""
        return [name for name, shape in self._shapes.items() if self._tables[shape.table].list]

    async def listing(self, entity: str) -> AsyncIterator[Sequence[Listed]]:
        """All records of an entity's table that are not switched off. Raises Unavailable."""
        shape = self._shapes[entity]
        table = self._tables[shape.table]
        assert table.list is not None  # who asks has looked at `listed`
        async for page in self._listing.pages(table, table.list, shape):
            yield page

    async def close(self) -> None:
        """Let go of the connections. Twice is fine."""
        await self._wire.close()

    # -- a batch

    def _parts(self, batch: Sequence[Delivery]) -> list[tuple[list[Delivery], Callable[[], Any]]]:
        """What one call does each: many records where their table takes batches, else one."""
        parts: list[tuple[list[Delivery], Callable[[], Any]]] = []
        for name, table in self._tables.items():
            of_table = [delivery for delivery in batch if delivery.table == name]
            size = table.batch.size if table.batch else 1
            tell = partial(self._batches.tell, table) if table.batch else partial(self._alone, table)
            for start in range(0, len(of_table), size):
                part = of_table[start : start + size]
                parts.append((part, partial(tell, part)))
        return parts

    async def _alone(self, table: Table, part: Sequence[Delivery]) -> Results | Unavailable:
        """The only record of a part. Unavailable is given, not raised: others are under way."""
        [delivery] = part
        try:
            return [await self._deliver(table, delivery)]
        except Refused as refused:
            return [Receipt(delivery.key, Outcome.FAILED, str(refused), delivery.local_id)]
        except Unavailable as unavailable:
            return unavailable

    async def _once_more(self, batch: Sequence[Delivery], results: dict[str, Receipt | Unavailable]) -> None:
        """What was in a record's way may have gone with another record of the batch."""
        outcomes = [each.outcome for each in results.values() if isinstance(each, Receipt)]
        if Outcome.DELIVERED not in outcomes:
            return
        for delivery in batch:
            result = results[delivery.key]
            if isinstance(result, Receipt) and result.reason.startswith(IN_THE_WAY):
                again = await self._alone(self._tables[delivery.table], [delivery])
                results[delivery.key] = again if isinstance(again, Unavailable) else again[0]

    # -- one record

    async def _deliver(self, table: Table, delivery: Delivery) -> Receipt:
        """Bring it up to date, and once more if it was not as it seemed, or if the answer to a write was
        lost. Raises Refused or Unavailable.
        """
        was_written = False
        try:
            return await self._reconcile(table, delivery)
        except NotSo as not_so:
            if not_so.answer.status not in LOOK_AGAIN:
                return self._meaning.of(delivery, not_so.answer)
        except Lost as lost:
            if not lost.sent:
                raise self._meaning.lost(lost) from lost
            was_written = True
        try:
            receipt = await self._reconcile(table, delivery)
        except NotSo as not_so:
            return self._meaning.of(delivery, not_so.answer)
        except Lost as lost:
            raise self._meaning.lost(lost) from lost
        if was_written and receipt.outcome is Outcome.UNCHANGED:
            return receipt._replace(outcome=Outcome.DELIVERED)
        return receipt

    async def _reconcile(self, table: Table, delivery: Delivery) -> Receipt:
        there = await self._look(table, delivery)
        if delivery.op is Op.DELETE:
            return await self._remove(table, delivery, there)
        wanted = self._wanted(table, delivery)
        if there is None:
            return await self._create(table, delivery, wanted)
        version = look(there.record, self._settings.version_field) if self._settings.version_field else None
        if isinstance(version, int) and version > delivery.version.number:
            return Receipt(delivery.key, Outcome.SUPERSEDED, "", there.local_id)
        if holds(there.record, wanted):
            return Receipt(delivery.key, Outcome.UNCHANGED, "", there.local_id)
        return await self._write(table, table.update, delivery, wanted, there)

    async def _create(self, table: Table, delivery: Delivery, wanted: Json) -> Receipt:
        """Of a record that is not there, or of which that cannot be seen: then by way of an update."""
        known = table.request(table.update, delivery, delivery.local_id) is not None
        if table.read is None and known and not table.upserts:
            try:
                return await self._write(table, table.update, delivery, wanted)
            except NotSo as not_so:
                if not_so.answer.status not in GONE:
                    raise
        return await self._write(table, table.create, delivery, wanted)

    async def _remove(self, table: Table, delivery: Delivery, there: There | None) -> Receipt:
        body = self._deactivated(table) if delivery.deactivate else None
        if table.read is not None and (there is None or (body and holds(there.record, body))):
            return Receipt(delivery.key, Outcome.UNCHANGED, "", delivery.local_id)
        template = table.deactivate if delivery.deactivate else table.delete
        try:
            return await self._write(table, template, delivery, body, there)
        except NotSo as not_so:
            if not_so.answer.status not in GONE:
                raise
        return Receipt(delivery.key, Outcome.UNCHANGED, "", delivery.local_id)

    async def _look(self, table: Table, delivery: Delivery) -> There | None:
        """The record as it is there; None: it is not, or that cannot be seen.

        Raises NotSo, Lost, Refused or Unavailable.
        """
        request = table.request(f"GET {table.read}", delivery, delivery.local_id) if table.read else None
        if request is None:
            return None
        answer = await self._wire.ask(request)
        if answer.status in GONE:
            return None
        if not answer.good:
            raise NotSo(answer)
        if answer.says is None:
            raise Lost("not JSON", sent=False)
        record = only(look(answer.says, table.record))
        if not isinstance(record, dict) or not record:
            return None
        return There(record, _local_id_in(table, answer.says) or delivery.local_id, request, answer.etag)

    async def _write(
        self, table: Table, template: str, delivery: Delivery, body: Json | None, there: There | None = None
    ) -> Receipt:
        """Raises NotSo, Lost, Refused or Unavailable."""
        request = table.request(template, delivery, there.local_id if there else delivery.local_id)
        if request is None:
            raise Refused(_NO_ID)
        headers = {}
        if name := self._settings.version_header:
            headers[name] = str(delivery.version.number)
        # Only a strong one compares (RFC 9110 section 13.1.1), and only with the same resource.
        if there and there.etag and not there.etag.startswith("W/") and there.request.path == request.path:
            headers["If-Match"] = there.etag
        if body is not None and self._settings.version_field:
            body = {**body, self._settings.version_field: delivery.version.number}
        answer = await self._wire.ask(request, body, headers)
        if not answer.good:
            raise NotSo(answer)
        local_id = _local_id_in(table, answer.says) or (there.local_id if there else delivery.local_id)
        return Receipt(delivery.key, Outcome.DELIVERED, "", local_id)

    # -- bodies

    def _wanted(self, table: Table, delivery: Delivery) -> Json:
        """What the system is to have of a record. Raises Refused."""
        return body_of({self._id_fields[delivery.entity]: delivery.id, **delivery.fields}, table.body)

    def _deactivated(self, table: Table) -> Json:
        return body_of({}, table.deactivate_body)

    def _entry(self, table: Table, delivery: Delivery) -> Json:
        """A record in a batch. Raises Refused."""
        id_field = self._id_fields[delivery.entity]
        if delivery.op is not Op.DELETE:
            entry = {**self._wanted(table, delivery), "op": "update"}
        elif delivery.deactivate:
            entry = {**body_of({id_field: delivery.id}, table.deactivate_body), "op": "update"}
        else:
            entry = {**body_of({id_field: delivery.id}, {}), "op": "delete"}
        if name := self._settings.version_field:
            entry[name] = delivery.version.number
        return entry


def _local_id_in(table: Table, answer: Any) -> str:
    """The system's own id in an answer; '' if the table's settings do not say where, or it is not there."""
    found = look(answer, table.local_id) if table.local_id else None
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""
