"""One life of the router's process, from its start to a stop or crash. Its calls to the world pass here."""

from collections.abc import Callable
from typing import Final

from simulation.clock import START_MS, VirtualLoop

TRACE_LINES: Final = 4000

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
        self._hook = hook

    def step(self, name: str, detail: object = "") -> None:
        """The process takes a step. Raises Crash if it is dead, or dies here."""
        if not self.alive:
            raise Crash(name)
        if self._hook(name):
            self.die(f"before {name}")
            raise Crash(name)
        self.trace(f"#{self.number} {name} {detail}")

    def die(self, why: str) -> None:
        """SIGKILL."""
        self.alive = False
        self.trace(f"#{self.number} dies {why}")
        self.loop.stop()

    def now_ms(self) -> int:
        return self.loop.now_ms() if self.alive else START_MS
