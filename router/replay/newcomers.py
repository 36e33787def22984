"""A destination that is added to a district which has records: it is told of what changes from now on, and a
person brings it the others, by a backfill.

In a district that has nothing yet all begin together, and there is nothing to bring. What is observed only
is brought all when it goes live.
"""

import json
from collections.abc import Iterable
from typing import Final

from router.alerts import alert_message
from router.core.rules import DestinationRule
from router.database import Write
from router.modes import OBSERVE, mode_now
from router.outbox import Outbox
from router.replay.marks import known, offered
from router.store import Store

KIND: Final = "backfill-offered"


def begin_together(store: Store, systems: Iterable[str]) -> list[tuple[str, int]]:
    """Positions for the first commit of an index, if it is that: these are no newcomers."""
    return [] if store.position("schema") else [(known(system), 1) for system in systems]


class Newcomer:
    """Whether one destination is new, and what of it."""

    def __init__(self, system: str, rule: DestinationRule, store: Store, outbox: Outbox) -> None:
        self._system = system
        self._mode = rule.mode
        self._entities = json.dumps(sorted(rule.entities))
        self._store = store
        self._outbox = outbox

    @property
    def is_new(self) -> bool:
        """The district had records before it knew this destination."""
        return not self._store.position(known(self._system))

    async def arrive(self, marked: str, upto: int, now_ms: int) -> None:
        """From that change on it is told. Once, in one commit with the alert that says what is left to do."""
        positions = [(known(self._system), 1), (marked, upto)]
        messages = []
        there = self._store.read("ids_of", 0, self._entities, 1)
        if there and mode_now(self._store, self._system, self._mode) != OBSERVE:
            number = self._store.read("next_job")[0][0]
            positions.append((offered(self._system), number))
            text = (
                f"{self._system} is new here: it is told of what changes from now on, and has none of the"
                f" records that are there already. Bring them: yellowbus backfill {self._system}"
            )
            messages.append(alert_message(KIND, self._system, str(number), now_ms, text))
        letters = self._outbox.put(messages)
        writes: list[Write] = [self._store.write("save_positions", positions), *letters.writes]
        await self._store.commit(writes)
        letters.send()


def is_offered(store: Store, system: str) -> bool:
    """Does a new destination wait for a person to bring it what was there before?"""
    number = store.position(offered(system))
    return bool(number) and not store.read("backfilled", system, number - 1)
