"""A compare of a destination each day at its time: what it finds is told, nothing is put right by itself."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from bus.errors import BusError
from router.core.jobs import Job, Kind
from router.core.rules import District
from router.database import Write
from router.replay.jobs import OURSELVES, Jobs
from router.store import Store

WHY: Final = "its daily compare"


def latest_ms(at: str, zone: ZoneInfo, now_ms: int) -> int:
    """The latest instant, now at most, at which that time of day was, as in 03:00.

    >>> zone = ZoneInfo("America/Chicago")
    >>> now_ms = 1_795_456_800_000  # 2026-11-23 12:00 there
    >>> (now_ms - latest_ms("03:00", zone, now_ms)) / 3_600_000
    9.0
    >>> (now_ms - latest_ms("13:00", zone, now_ms)) / 3_600_000
    23.0
    """
    hour, minute = (int(part) for part in at.split(":"))
    now = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone)
    day = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if day > now:
        day -= timedelta(days=1)
    return int(day.timestamp() * 1000)


class Daily:
    """Of all destinations that have a time for it."""

    def __init__(
        self,
        store: Store,
        jobs: Jobs,
        district: District,
        listed: Callable[[str], tuple[str, ...]],
        now_ms: Callable[[], int],
    ) -> None:
        self._listed = listed
        self._store = store
        self._jobs = jobs
        self._zone = ZoneInfo(district.timezone)
        self._now_ms = now_ms
        systems = district.systems.values()
        self._rules = {
            each.name: each.destination
            for each in systems
            if each.destination and each.destination.compare_at
        }

    async def look(self) -> None:
        """Begin what is due. One that was missed for days is done once. Raises Unavailable."""
        for system, rule in self._rules.items():
            due_ms = latest_ms(rule.compare_at, self._zone, self._now_ms())
            before_ms = self._store.position(f"compared.{system}")
            if before_ms >= due_ms:
                continue
            done = self._store.write("save_positions", [(f"compared.{system}", due_ms)])
            if not before_ms:  # its file has only just said so: from the next time on
                await self._store.commit([done])
            elif not self._jobs.at_work(system) and (entities := self._listed(system)):
                await self._begin(system, entities, done)

    async def _begin(self, system: str, entities: tuple[str, ...], done: Write) -> None:
        upto, now_ms = self._store.position("changes"), self._now_ms()
        wanted = Job(
            "", Kind.COMPARE, system, 0, now_ms, 1, upto, entities, "", False, 0.0, OURSELVES, WHY, now_ms
        )  # fmt: skip
        with suppress(BusError):  # a person was faster: it is looked at again
            await self._jobs.start(wanted, more=[done])
