"""What a source that speaks by itself has said, in its SQLite file: the same news again is no event."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from router.database import Database, Write, keyed_reads
from router.store import named_queries

QUERIES: Final = named_queries(Path(__file__).with_name("heard.sql"))

DAY_MS: Final = 24 * 3_600_000
KEPT_MS: Final = 90 * DAY_MS
"""As long as EVENTS keeps its messages."""


class Heard:
    """The ids of events that are on the bus, and how far this source's counter is."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._forgot_ms = 0
        self.number = self._counted("number")
        self.seq = self._counted("seq")

    def known(self, ids: Collection[str]) -> set[str]:
        """Which of these were said before."""
        rows = [(id_,) for id_ in ids]
        reads = keyed_reads(QUERIES["known"], rows)
        return {id_ for sql, values in reads for (id_,) in self._database.read(sql, values)}

    async def keep(self, ids: Iterable[str], at_ms: int, *, number: int = 0, seq: int = 0) -> None:
        """These are on the bus now, up to a number and a sequence. Raises Unavailable."""
        writes = [
            Write(QUERIES["keep"], [(id_, at_ms) for id_ in ids]),
            Write(QUERIES["count"], [("number", number), ("seq", seq)]),
        ]
        if at_ms - self._forgot_ms >= DAY_MS:
            writes.append(Write(QUERIES["forget"], [(at_ms - KEPT_MS,)]))
        await self._database.write([write for write in writes if write.rows])
        if len(writes) == 3:
            self._forgot_ms = at_ms
        self.number, self.seq = max(self.number, number), max(self.seq, seq)

    def _counted(self, name: str) -> int:
        return next((value for (value,) in self._database.read(QUERIES["counted"], (name,))), 0)
