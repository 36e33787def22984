"""That a source cannot be reached is alerted when it begins, and shown until it is well."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from real_nats import eventually

from bus.errors import Unavailable
from bus.jetstream import JetStream
from router.database import Sqlite
from router.outbox import Outbox
from router.sources.reach import Reach
from router.store import QUERIES, Store


@pytest.fixture
async def outbox(bus: JetStream, tmp_path: Path) -> AsyncIterator[Outbox]:
    async with Sqlite.open(tmp_path / "index.sqlite", QUERIES["schema"]) as database:
        yield Outbox(Store(database), bus, _no_sleep, lambda what: None)


async def _no_sleep(delay_s: float) -> None:
    pass


async def test_it_is_alerted_once_until_it_is_well(outbox: Outbox) -> None:
    log: list[str] = []
    clock = iter(range(1, 100))
    reach = Reach("lms", outbox, lambda: next(clock), log.append)

    for _ in range(3):
        await reach.lost(Unavailable("lms: away", runbook="webhook-address"), kept="Nothing is lost.")
    first, shown = outbox.waiting, reach.unreachable
    reach.well()
    well = reach.unreachable
    await reach.lost(Unavailable("lms: away"), kept="Nothing is lost.")

    assert (first, shown, well, len(log)) == (1, "lms: away", "", 4)
    await eventually(lambda: outbox.waiting == 2)
