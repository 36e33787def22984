"""All that is looked at from time to time: see router.watch."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from bus.port import Bus
from router.core.rules import DestinationRule, District
from router.delivery.leaving import Leavers, Line
from router.delivery.pauses import Pauses
from router.delivery.waiting import Waiting
from router.hourly import HourlyEnds
from router.outbox import Outbox
from router.replay.kept import Kept
from router.retiming import Retiming
from router.store import Store
from router.takeup import Takeup

Look = Callable[[], Awaitable[None]]


def looks(
    bus: Bus,
    store: Store,
    outbox: Outbox,
    district: District,
    lines: Mapping[str, Line],
    pauses: Pauses,
    now_ms: Callable[[], int],
) -> tuple[Look, ...]:
    """In this order. `lines`: the workers of the destinations."""
    rules: Final[dict[str, DestinationRule]] = {
        each.name: each.destination for each in district.systems.values() if each.destination
    }
    return (
        Retiming(store, district, now_ms).look,
        HourlyEnds(store, outbox, now_ms).look,
        Takeup(store, outbox, district.entities, now_ms).look,
        Kept(bus, store, now_ms).look,
        Leavers(store, {name: rule.entities for name, rule in rules.items()}, lines, now_ms).look,
        Waiting(store, outbox, {name: rule.waits_at_most_s for name, rule in rules.items()}, now_ms).look,
        pauses.look,
    )
