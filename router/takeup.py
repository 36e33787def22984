"""Watches that systems which take up late (`takes_up_within`) do so: beyond that time there is one alert.

A record that a worker has given to such a system is looked at when its time has come. Those that the system
has not taken up stay listed as late until it has; as long as one is, nothing more is told of that system.
"""

from collections.abc import Callable, Mapping
from typing import Final

from router.alerts import alert_message
from router.core.held import NOTHING_GIVEN, not_taken_up
from router.core.rules import EntityRule
from router.outbox import Outbox
from router.store import Store

AT_ONCE: Final = 500
AGAIN_MS: Final = 600_000
"""How often one that is late is looked at again."""


class Takeup:
    """Looks at what has been given to systems and is due to be taken up."""

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        entities: Mapping[str, EntityRule],
        now_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._entities = entities
        self._now_ms = now_ms
        self._systems = sorted({system for rule in entities.values() for system in rule.lags_s})

    async def look(self) -> None:
        """One page of each system."""
        for system in self._systems:
            await self._look(system)

    async def _look(self, system: str) -> None:
        now_ms = self._now_ms()
        due = self._store.read("takeup_due", system, now_ms, AT_ONCE)
        if not due:
            return
        keys = [str(key) for _, key, _ in due]
        records, given = self._store.records(keys), self._store.given(system, keys)
        told = bool(self._store.read("any_late", system))
        done, later, late = [], [], []
        names: set[str] = set()
        for record_id, key, was_late in due:
            record = records[key]
            rules = self._entities.get(record.entity)
            lag_s = rules.lags_s.get(system) if rules else None
            waits = (
                {}
                if rules is None or lag_s is None
                else not_taken_up(record, system, given.get(key, NOTHING_GIVEN), rules)
            )
            if not waits or lag_s is None:
                done.append((system, record_id))
                continue
            due_ms = min(waits.values()) + int(lag_s * 1000)
            if due_ms > now_ms:
                later.append((system, record_id, due_ms, 0))
                continue
            late.append((system, record_id, now_ms + AGAIN_MS, 1))
            if not was_late:
                names.update(f"{record.entity} {name}" for name in waits)
        messages = []
        if names and not told:
            text = (
                f"{system}: {len(late)} records do not have yet what was given to it longer ago than its"
                f" takes_up_within ({', '.join(sorted(names))}). It goes on; see: yellowbus explain"
            )
            messages.append(alert_message("not-taken-up", system, str(now_ms), now_ms, text))
        letters = self._outbox.put(messages)
        await self._store.commit(
            [
                self._store.write("forget_takeup", done),
                self._store.write("move_takeup", [*later, *late]),
                *letters.writes,
            ]
        )
        letters.send()
