"""The ids of what was said stay in the file, as long as EVENTS keeps its messages."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from router.database import Sqlite
from router.sources.heard import DAY_MS, KEPT_MS, QUERIES, Heard

NOW_MS = 1_795_532_645_000


@pytest.fixture
async def files() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as files:
        yield files


async def opened(files: AsyncExitStack, folder: Path) -> Heard:
    return Heard(await files.enter_async_context(Sqlite.open(folder / "lms.sqlite", QUERIES["schema"])))


async def test_what_is_kept_is_known_to_the_next_one(files: AsyncExitStack, tmp_path: Path) -> None:
    first = await opened(files, tmp_path)
    await first.keep(["lms.a", "lms.b"], NOW_MS, number=3, seq=9)
    await first.keep(["lms.b", "lms.c"], NOW_MS, number=2, seq=10)

    second = await opened(files, tmp_path)

    assert second.known(["lms.a", "lms.c", "lms.d"]) == {"lms.a", "lms.c"}
    assert (first.number, first.seq) == (second.number, second.seq) == (3, 10)


async def test_what_is_older_than_events_keeps_is_forgotten(files: AsyncExitStack, tmp_path: Path) -> None:
    heard = await opened(files, tmp_path)
    await heard.keep(["lms.old"], NOW_MS)
    await heard.keep(["lms.new"], NOW_MS + DAY_MS)

    await heard.keep([], NOW_MS + KEPT_MS)
    assert heard.known(["lms.old", "lms.new"]) == {"lms.old", "lms.new"}
    await heard.keep([], NOW_MS + KEPT_MS + DAY_MS)

    assert heard.known(["lms.old", "lms.new"]) == {"lms.new"}
