"""One life of the router's process, from its start to a stop or crash. Its calls to the world pass here."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final

from simulation.clock import START_MS, VirtualLoop

LOOK_S: Final = (5.0, 30.0)
"""How long the router sleeps between two such looks."""
IDLE_S: Final = 400.0
SELDOM_S: Final = 600.0

Hook = Callable[[str], bool]
"""Is told each step, before it is taken; True: the process dies there."""


class Crash(BaseException):
    """The process is dead: nothing that it still does can reach the world."""


class Trace:
    """What happened, line by line."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.lines: list[str] = []

    def __call__(self, text: str) -> None:
        at_s = self._loop.time()
        self.lines.append(f"{at_s:12.3f} {text}")

    def tail(self, most: int) -> str:
        return "\n".join(self.lines[-most:])


class Life:
    """Whether the process lives; and the tap on every step that it takes in the world."""

    def __init__(self, number: int, loop: VirtualLoop, trace: Trace, hook: Hook) -> None:
        self.number = number
        self.loop = loop
        self.trace = trace
        self.alive = True
        self.stepped_s = loop.time()
        """When it last took one."""
        self.taken: Counter[str] = Counter()
        """How often it has taken each step."""
        self.last = ("", loop.turns)
        """The step that it took last, and at which turn of the loop."""
        self.dies_after: tuple[str, int, int] | None = None
        """A step, the how manyth of its name, and how many turns of the loop later."""
        self._hook = hook

    def step(self, name: str, detail: object = "") -> None:
        """The process takes a step. Raises Crash if it is dead, or dies here."""
        if not self.alive:
            raise Crash(name)
        self.stepped_s = self.loop.time()
        if self._hook(name):
            self.die(f"before {name}")
            raise Crash(name)
        self.taken[name] += 1
        self.last = (name, self.loop.turns)
        self.trace(f"#{self.number} {name} {detail}")
        if self.dies_after and self.dies_after[:2] == (name, self.taken[name]):
            self._ends_in(self.dies_after[2])

    @property
    def place(self) -> tuple[str, int, int]:
        """Where it is now, as `dies_after` has it."""
        name, turn = self.last
        return name, self.taken[name], self.loop.turns - turn

    def _ends_in(self, turns: int) -> None:
        if turns:
            self.loop.stop_at_turn = self.loop.turns + turns
        else:
            self.loop.stop()

    def die(self, why: str) -> None:
        """SIGKILL, and with it ends all that runs on this loop."""
        self.end(why)
        self.loop.stop()

    def end(self, why: str) -> None:
        """SIGKILL."""
        self.alive = False
        self.trace(f"#{self.number} dies {why}")

    async def sleep(self, seconds: float) -> None:
        """A look that comes again and again is seldom once nothing has been done for long: simulated days
        would be made of little else.
        """
        if LOOK_S[0] <= seconds <= LOOK_S[1] and self.loop.time() - self.stepped_s > IDLE_S:
            seconds = SELDOM_S
        await asyncio.sleep(seconds)

    def now_ms(self) -> int:
        return self.loop.now_ms() if self.alive else START_MS
