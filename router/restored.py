"""What people have begun, and STATE alone knows after an index is lost: jobs, and pauses of destinations."""

from bus.port import Bus
from router.delivery.pauses import pauses_on_state
from router.replay.jobs import jobs_on_state
from router.store import Store


async def restore(bus: Bus, store: Store) -> None:
    """Into a new index. Raises Unavailable."""
    async for jobs in jobs_on_state(bus):
        await store.commit([store.write("save_job", jobs)])
    async for pauses in pauses_on_state(bus):
        await store.commit([store.write("save_pause", pauses)])
