"""A stop does not cut a step in two, and waits for none for ever."""

import asyncio
from typing import Any

import pytest

from router.steps import to_end


class Work:
    """A step in two halves."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.done: list[str] = []

    async def step(self) -> str:
        self.done.append("first half")
        await self.go.wait()
        self.done.append("second half")
        return "result"

    async def bad(self) -> None:
        await self.step()
        raise KeyError("a bug")


@pytest.fixture
def work() -> Work:
    return Work()


async def stopped(running: "asyncio.Task[Any]") -> None:
    """Tell it to stop while its step is in the middle."""
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.sleep(0)


async def test_without_a_stop_it_gives_what_the_step_gives(work: Work) -> None:
    work.go.set()

    assert await to_end(work.step()) == "result"
    with pytest.raises(KeyError):
        await to_end(work.bad())


async def test_a_step_that_has_begun_is_brought_to_its_end_before_the_stop(work: Work) -> None:
    running = asyncio.ensure_future(to_end(work.step()))
    await stopped(running)
    still_in_it = not running.done()
    work.go.set()

    with pytest.raises(asyncio.CancelledError):
        await running
    assert still_in_it
    assert work.done == ["first half", "second half"]


async def test_a_step_that_does_not_end_in_time_is_cut(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.steps.DRAIN_S", 0.01)
    running = asyncio.ensure_future(to_end(work.step()))
    await stopped(running)

    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await running
    await asyncio.sleep(0)
    assert work.done == ["first half"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_bug_after_the_stop_does_not_keep_it_from_stopping(work: Work) -> None:
    running = asyncio.ensure_future(to_end(work.bad()))
    await stopped(running)
    work.go.set()

    with pytest.raises(asyncio.CancelledError):
        await running
