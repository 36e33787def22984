"""A term that is moved moves the dates of what depends on it, at once.

The records that depend on it come due now on the timetable: the `date` event of each decides who has
authority now, and notes its next instant. How far this has come stands in the index.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Final
from zoneinfo import ZoneInfo

from bus.messages import Record
from router.core.rules import District
from router.decided import entity_of
from router.spans import Spanning
from router.store import Store

AT_ONCE: Final = 500
PAGES_MAX: Final = 20
"""At one look: others have to be looked at too."""


class Retiming:
    """Looks through the records that may depend on one that has moved."""

    def __init__(self, store: Store, district: District, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._spanning = Spanning(district.entities, ZoneInfo(district.timezone))
        self._now_ms = now_ms

    async def look(self) -> None:
        """Some pages."""
        for _ in range(PAGES_MAX):
            moved = self._store.read("moved")
            if not moved:
                return
            await self._page(*moved[0])

    async def _page(self, moved: str, after: int) -> None:
        names = json.dumps(self._spanning.dependents(entity_of(moved)))
        rows = self._store.read("keys_of", after, names, AT_ONCE)
        if not rows:
            await self._store.commit([self._store.write("forget_moved", [(moved, after)])])
            return
        known: dict[str, Record] = {}

        def look(keys: Iterable[str]) -> Mapping[str, Record]:
            wanted = list(keys)
            known.update(self._store.records([key for key in wanted if key not in known]))
            return {key: known[key] for key in wanted if key in known}

        records = self._store.records([key for _, key in rows]).values()
        due = [each.key for each in records if not each.deleted and self._spanning.depends(each, moved, look)]
        now_ms = self._now_ms()
        await self._store.commit(
            [
                self._store.write("save_instants", [(key, now_ms) for key in due]),
                self._store.write("move_on", [(moved, after, rows[-1][0])]),
            ]
        )
