"""What has ended before it went: a row that a source does not export any more once its date has passed.

A term ends, and its classes and enrollments vanish from the export: that is no news of a removal. The shelf
lets go of such rows, and the hub's records stay as they are, ended. By `ends:` in the entity's file.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from bus import subjects
from bus.messages import Op, Record, Value
from bus.port import Bus
from router.core.rules import District
from router.sources.dependencies import pages
from router.sources.shelf import Shelf
from router.sources.staging import NOTHING
from router.store import Store

AT_HAND_MAX: Final = 5_000


class Concluding:
    """Of one source's full readings."""

    def __init__(self, system: str, shelf: Shelf, store: Store, bus: Bus, district: District) -> None:
        self._system = system
        self._shelf = shelf
        self._store = store
        self._bus = bus
        self._zone = ZoneInfo(district.timezone)
        self._ends = {
            name: tuple(tuple(path.split(".")) for path in rule.ends)
            for name, rule in district.entities.items()
            if rule.ends
        }
        self._at_hand: dict[str, Record] = {}

    async def look(self, at_ms: int) -> None:
        """Note which planned removals of the plan that is staged are of what has ended."""
        shelf = self._shelf
        planned = {entity for entity, _, op, _ in shelf.read("plan_cells") if op == Op.DELETE.value}
        if not planned & self._ends.keys():
            return
        # The dates are asked of the index: so it must know all that this source has said.
        if newest := await self._bus.last(subjects.EVENTS, subjects.event(self._system, "*", "*")):
            await self._store.reached("events", newest.seq)
        today = datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(self._zone).date().isoformat()
        async for page in pages(shelf, "plan_removals_after"):
            ended = [(number,) for number in self._ended(page, today)]
            await shelf.commit([shelf.write("conclude_row", ended)])
        self._at_hand.clear()

    async def conclude(self) -> int:
        """Take them out of the plan, but for what has turned out to have another id; returns how many."""
        shelf = self._shelf
        if shelf.counts("counts_concluded"):
            await shelf.commit([shelf.write(f"{what}_concluded", NOTHING) for what in ("keep", "unplan")])
        return sum(shelf.counts("counts_concluded").values())

    def _ended(self, page: Sequence[tuple[Any, ...]], today: str) -> Iterator[int]:
        names = [(self._system, row[1], row[2]) for row in page if row[1] in self._ends]
        links = self._store.links(names) if names else {}
        records = self._store.records(list(links.values()))
        for number, entity, local_id in page:
            record = records.get(links.get((self._system, entity, local_id), ""))
            if record and not record.deleted and self._last_day(record) < today:
                yield number

    def _last_day(self, record: Record) -> str:
        """The last day of the first path that leads to one; without any it does not end."""
        for path in self._ends[record.entity]:
            if days := self._days(record.values, path):
                return max(days)
        return "9999-12-31"

    def _days(self, values: Mapping[str, Value], path: Sequence[str]) -> list[str]:
        value = values.get(path[0])
        if len(path) == 1:
            return [value] if isinstance(value, str) else []
        keys = value if isinstance(value, tuple) else (str(value),) if value else ()
        return [day for each in self._records(keys) for day in self._days(each.values, path[1:])]

    def _records(self, keys: Sequence[str]) -> list[Record]:
        missing = [key for key in keys if key not in self._at_hand]
        if missing:
            if len(self._at_hand) > AT_HAND_MAX:
                self._at_hand.clear()
                missing = list(keys)
            self._at_hand.update(self._store.records(missing))
        return [self._at_hand[key] for key in keys if key in self._at_hand]
