"""Who kills, stops and cuts off: a plan from a seed, and the one who carries it out while the others work."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from crash.victims import How, Victim

WEIGHTS = {"router": 10, "nats": 6, "lms": 6, "idp": 5, "warehouse": 2, "buses": 1, "meals": 1}
HOW_OFTEN = {How.KILL: 4, How.STOP: 2}
LISTENS = {"nats": 6, "lms": 4, "idp": 4, "warehouse": 2, "sis": 3}
"""In the middle of whose talk it happens, if not of the victim's own. The SIS listens for its export to be
taken.
"""
UNTOLD = 0.3
"""Share of the router's deaths at which nats-server stands still: what is committed is not told yet."""
MESSAGES_MAX = 60
WAITS_MAX_S = 1.0
"""There may be nothing to say any more: then it happens in the quiet."""
TAKEN_MAX_S = 20.0
READY_MAX_S = 60.0
LASTS_S = (0.0, 0.05, 0.2, 0.5, 1.0, 2.0)
LONG_S = 7.0
"""Longer than a request to nats-server may take (5 s)."""


class Trouble(NamedTuple):
    """One of the plan. It happens when the router is `ready` and has said `messages` more things `to` one of
    them; or at once, also while it starts.
    """

    number: int
    victim: str
    how: How
    ready: bool
    to: str
    messages: int
    lasts_s: float

    def __str__(self) -> str:
        when = f"after {self.messages} more to {self.to}" if self.ready else "at once"
        return f"{self.number}: {when}: {self.victim} {self.how} for {self.lasts_s} s"


def plan(seed: object, count: int, hows: Mapping[str, Sequence[How]], *, long: float = 0.02) -> list[Trouble]:
    """So many, from a seed. `long`: the share of those that last long."""
    chance = random.Random(f"trouble {seed}")
    names = [name for name in WEIGHTS if name in hows]
    found: list[Trouble] = []
    while len(found) < count:
        [victim] = chance.choices(names, [WEIGHTS[name] for name in names])
        [to] = chance.choices(list(LISTENS), list(LISTENS.values()))
        messages = int(MESSAGES_MAX ** chance.random())
        if victim != "router" and chance.random() < 0.7:
            to = victim
        [how] = chance.choices(hows[victim], [HOW_OFTEN.get(each, 1) for each in hows[victim]])
        lasts_s = LONG_S if chance.random() < long else chance.choice(LASTS_S)
        if (victim, how) == ("router", How.KILL) and chance.random() < UNTOLD:
            found.append(Trouble(len(found) + 1, "nats", How.STOP, True, "lms", 1, 1.5))
            to, messages = chance.choice(("lms", "idp")), 3
        if to not in ("nats", "lms", "idp"):
            messages = 1  # a file that is written says a lot
        ready = chance.random() < 0.85
        found.append(Trouble(len(found) + 1, victim, how, ready, to, messages, lasts_s))
    return found[:count]


class Troublemaker:
    """Carries a plan out. Several may suffer at the same time, but nobody twice at once."""

    def __init__(
        self, victims: Mapping[str, Victim], ready: Callable[[], bool], say: Callable[[str], None]
    ) -> None:
        self._victims = victims
        self._ready = ready
        self._say = say
        self._busy = {name: asyncio.Lock() for name in victims}
        self.done: Counter[tuple[str, How]] = Counter()

    async def works(self, troubles: Sequence[Trouble]) -> None:
        """Returns when all of it is over, and everybody is well again."""
        async with asyncio.TaskGroup() as group:
            for trouble in troubles:
                if trouble.ready:
                    await self._told(trouble)
                await self._busy[trouble.victim].acquire()
                self._say(str(trouble))
                group.create_task(self._happens(trouble))

    async def _told(self, trouble: Trouble) -> None:
        """Wait until the router has said so much more."""
        victim = self._victims[trouble.to]
        await _until(self._ready, READY_MAX_S)
        until = victim.heard() + trouble.messages
        await _until(lambda: victim.heard() >= until, TAKEN_MAX_S if trouble.to == "sis" else WAITS_MAX_S)

    async def _happens(self, trouble: Trouble) -> None:
        try:
            await self._victims[trouble.victim].suffers(trouble.how, trouble.lasts_s)
            self.done[trouble.victim, trouble.how] += 1
        finally:
            self._busy[trouble.victim].release()


async def _until(true: Callable[[], bool], most_s: float) -> None:
    """Wait for it, but not for ever."""
    with suppress(TimeoutError):
        async with asyncio.timeout(most_s):
            while not true():  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.005)
