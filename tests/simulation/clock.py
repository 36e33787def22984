"""Time, and the order of things, from a seed: an event loop that never waits and never sleeps.

When nothing is ready it jumps to the next timer. What is ready runs in an order that the seed chooses.
"""

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, Final, TypeVar

from simulation.choices import Choices

T = TypeVar("T")

START_MS: Final = 1_795_420_800_000
"""When every simulation begins: 2026-11-23 08:00 UTC."""
TURN_S: Final = 0.00005
"""What one turn of the loop costs: the processor is not infinitely fast."""
TICK_S: Final = 0.001
TICK_SHARE: Final = 0.3
SWEEPS_MAX: Final = 200
CALLBACKS_DEPTH: Final = 4


class Numbered(asyncio.Task[Any]):
    """A task whose hash is its number, so that a set of tasks has the same order in every run."""

    number: int = 0

    def __hash__(self) -> int:
        return self.number


class VirtualLoop(asyncio.BaseEventLoop):
    """One simulated computer's event loop."""

    def __init__(self, choices: Choices) -> None:
        super().__init__()
        self._choices = choices
        self._virtual_s = 0.0
        self._tasks = 0
        self._selector = self  # the loop asks it how long to wait
        self.turns = 0
        self.stop_at_turn: int | None = None
        self.set_task_factory(self._numbered)
        self.problems: list[BaseException] = []
        self.set_exception_handler(lambda loop, context: self._noted(context))

    def time(self) -> float:
        """Seconds since the simulation began."""
        return self._virtual_s

    def now_ms(self) -> int:
        """The wall clock. It may tick between two looks at it, as real ones do."""
        if self._choices.of("tick", False, _ticks):
            self._virtual_s += TICK_S
        return START_MS + int(self._virtual_s * 1000)

    def pass_time(self, seconds: float) -> None:
        """The computer is off for a while; what was on its way arrives meanwhile."""
        self.run(asyncio.sleep(seconds))

    def run(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Work to the end; None if the simulation was stopped before that."""
        task = self.create_task(work)
        task.add_done_callback(self._stop)
        self.run_forever()
        task.remove_done_callback(self._stop)
        return task.result() if task.done() else None

    def _stop(self, task: object) -> None:
        self.stop()

    def sweep(self) -> None:
        """Throw all tasks away, as the end of a process does."""
        self.stop_at_turn = None
        for _ in range(SWEEPS_MAX):
            left = [task for task in asyncio.all_tasks(self) if not task.done()]
            if not left:
                break
            for task in left:
                task.cancel()
            self._turn()
        else:
            raise AssertionError(f"tasks that do not end: {left}")
        for _ in range(CALLBACKS_DEPTH):
            self._turn()  # what tasks call when they are done
        self.problems.clear()

    def _turn(self) -> None:
        """One turn, in which time stands still."""
        self.stop()
        self.run_forever()

    # What BaseEventLoop asks for.

    def select(self, timeout: float | None) -> list[object]:
        if timeout is None:
            raise AssertionError("everything waits for everything: no task is ready and no timer set")
        self._virtual_s += timeout
        return []

    def _run_once(self) -> None:
        ready: Any = self._ready  # type: ignore[attr-defined]
        if len(ready) > 1:
            in_turn = list(ready)
            order = self._choices.of("order", [], lambda chance: _shuffled(chance, len(in_turn)))
            ready.clear()
            ready.extend([in_turn[place] for place in order if place < len(in_turn)])
            ready.extend([each for place, each in enumerate(in_turn) if place not in order])
        self.turns += 1
        self._virtual_s += TURN_S
        if self.stop_at_turn is not None and self.turns >= self.stop_at_turn:
            self.stop()
        super()._run_once()  # type: ignore[misc]

    def _process_events(self, events: object) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def _numbered(self, loop: Any, work: Any, **also: Any) -> Numbered:
        task = Numbered.__new__(Numbered)
        self._tasks += 1
        task.number = self._tasks
        Numbered.__init__(task, work, loop=loop, **also)
        return task

    def _noted(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.problems.append(error or RuntimeError(context["message"]))


def _ticks(chance: Random) -> bool:
    return chance.random() < TICK_SHARE


def _shuffled(chance: Random, count: int) -> list[int]:
    """In which order so many are taken; [] is the one in which they came."""
    order = list(range(count))
    chance.shuffle(order)
    return [] if order == list(range(count)) else order


def closed(loop: VirtualLoop, sweep: Callable[[], None]) -> None:
    """Let go of the loop and of what still hangs on it."""
    sweep()
    loop.run(loop.shutdown_asyncgens())
    loop.close()
