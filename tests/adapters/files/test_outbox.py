"""What a crash between any two steps of a write leaves behind: each news in one file, once."""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from folders import OutFolder, deliver, outcomes

from adapters.files.held import Cells
from adapters.files.outbox import Outbox, OutboxSettings, Write
from adapters.files.place import part_at
from bus.adapter import Delivery, Receipt
from bus.errors import Unavailable
from bus.messages import Op, Outcome


class Crash(BaseException):
    """The process ends here."""


class Lines:
    """A file of the ids that changed. `crash`: where the process ends; `blocked`: the file has no place."""

    def __init__(self, *, crash: str = "", blocked: bool = False) -> None:
        self._crash, self._blocked = crash, blocked

    def problems(self) -> list[str]:
        return []

    def no_table(self, table: str) -> str:
        return ""

    def local_id(self, delivery: Delivery) -> str:
        return delivery.id

    def elsewhere(self, delivery: Delivery) -> str:
        return ""

    def owns(self, name: str) -> bool:
        return name.endswith(".txt")

    def cells(self, delivery: Delivery, before: Cells | None) -> Cells | None:
        return {"id": delivery.id}

    def write(self, write: Write) -> tuple[int, list[str]]:
        assert write.changes is not None
        names = [f"{write.seq}{letter}.txt" for letter in "ab"]
        for name in names:
            with part_at(write.folder / name) as file:
                self._crash_at(f"in {name}")
                file.write("".join(change.id for change in write.changes).encode())
                if self._crash == f"halfway in {name}":
                    file.flush()
                    shutil.copy(write.folder / f"{name}.part", write.folder / f"{name}.part.saved")
                    raise Crash
        self._crash_at("after the parts")
        if self._blocked:
            (write.folder / names[1]).mkdir()
        return write.seq, names

    def _crash_at(self, point: str) -> None:
        if self._crash == point:
            raise Crash


@pytest.fixture
def out(tmp_path: Path) -> OutFolder:
    (tmp_path / "out").mkdir()
    return OutFolder(tmp_path)


async def apply(out: OutFolder, batch: Sequence[Delivery], **fault: object) -> Sequence[Receipt]:
    """By an outbox of a process of its own."""
    settings = OutboxSettings(folder=out.folder)
    outbox = Outbox(settings, out.around(), Lines(**fault), changes_only=True)  # type: ignore[arg-type]
    try:
        return await outbox.apply(batch)
    finally:
        await outbox.close()


def text(out: OutFolder, name: str) -> str:
    return (out.folder / name).read_text()


BATCH = [deliver("x", id_, 1, Op.UPDATE, {}) for id_ in ("1", "2")]


@pytest.mark.parametrize("crash", ["in 1a.txt", "in 1b.txt", "halfway in 1b.txt", "after the parts"])
async def test_a_crash_before_the_commit_is_as_if_the_batch_had_never_come(
    out: OutFolder, crash: str
) -> None:
    with suppress(Crash):
        await apply(out, BATCH, crash=crash)
    for saved in out.folder.glob("*.saved"):  # a process that is killed removes nothing
        saved.rename(saved.with_suffix(""))

    receipts = await apply(out, BATCH[1:])

    assert outcomes(receipts) == [Outcome.DELIVERED]
    assert out.files() == ["1a.txt", "1b.txt"]
    assert text(out, "1a.txt") == text(out, "1b.txt") == "2"


async def test_a_crash_before_the_files_take_their_places_puts_them_there(out: OutFolder) -> None:
    with pytest.raises(Unavailable):
        await apply(out, BATCH, blocked=True)
    assert out.files() == ["1a.txt", "1b.txt", "1b.txt.part"]
    (out.folder / "1b.txt").rmdir()

    receipts = await apply(out, BATCH)
    again = await apply(out, BATCH)

    assert outcomes(receipts) == [Outcome.DELIVERED] * 2
    assert outcomes(again) == [Outcome.UNCHANGED] * 2
    assert out.files() == ["1a.txt", "1b.txt"]
    assert text(out, "1b.txt") == "12"


async def test_what_came_too_late_into_its_place_is_said_to_be_delivered_once(out: OutFolder) -> None:
    outbox = Outbox(OutboxSettings(folder=out.folder), out.around(), Lines(blocked=True), changes_only=True)
    with pytest.raises(Unavailable):
        await outbox.apply(BATCH)
    (out.folder / "1b.txt").rmdir()

    first, second = await outbox.apply(BATCH), await outbox.apply(BATCH)
    await outbox.close()

    assert outcomes(first) == [Outcome.DELIVERED] * 2
    assert outcomes(second) == [Outcome.UNCHANGED] * 2


@pytest.mark.parametrize("collected", [False, True])
async def test_a_crash_before_the_receipts_writes_no_second_file(out: OutFolder, collected: bool) -> None:
    with pytest.raises(Unavailable):
        await apply(out, BATCH, blocked=True)
    (out.folder / "1b.txt").rmdir()
    before = out.root / "before"
    shutil.copytree(out.state, before)
    await apply(out, [])  # puts them in place, and marks that
    shutil.rmtree(out.state)
    before.rename(out.state)  # the mark never came to the disk
    for name in ("1a.txt", "1b.txt") if collected else ():
        (out.folder / name).unlink()

    receipts = await apply(out, BATCH)

    assert outcomes(receipts) == [Outcome.DELIVERED] * 2
    assert out.files() == ([] if collected else ["1a.txt", "1b.txt"])


async def test_the_next_batch_comes_after_what_a_crash_left(out: OutFolder) -> None:
    with pytest.raises(Unavailable):
        await apply(out, BATCH, blocked=True)
    (out.folder / "1b.txt").rmdir()

    await apply(out, [deliver("x", "3", 1, Op.UPDATE, {})])

    assert out.files() == ["1a.txt", "1b.txt", "2a.txt", "2b.txt"]
    assert [text(out, name) for name in ("1b.txt", "2a.txt")] == ["12", "3"]
