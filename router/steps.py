"""A step that has begun is brought to its end before the process stops."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

DRAIN_S: Final = 15.0


async def to_end(step: Coroutine[Any, Any, T]) -> T:
    """Run a step that a cancellation (a stop of the daemon) must not cut in two, if it ends within 15 s.

    A crash may cut it anywhere; this only spares the next start the work of putting it together again.
    """
    task = asyncio.ensure_future(step)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            await asyncio.wait([task], timeout=DRAIN_S)
        if not task.done():
            task.cancel()
        elif not task.cancelled():
            task.exception()  # seen: the stop goes on all the same
        raise
