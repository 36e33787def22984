"""What the router needs from outside."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bus.adapter import Destination, Listener, Sleep, Source, Surroundings
from bus.port import Bus
from router.core.rules import SystemRule
from router.database import Database

OpenDatabase = Callable[[Path, str], contextlib.AbstractAsyncContextManager[Database]]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the router needs from outside: the bus, the disk, time, chance, and the makers of adapters.

    `trouble` is told what hinders the work now, in words for the log.
    """

    bus: Bus
    open_database: OpenDatabase
    state: Path
    now_ms: Callable[[], int]
    sleep: Sleep
    jitter: Callable[[], float]
    make_source: Callable[[SystemRule, Surroundings], Source | Listener]
    make_destination: Callable[[SystemRule, Surroundings], Destination]
    trouble: Callable[[str], None]
