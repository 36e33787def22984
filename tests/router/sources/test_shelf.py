"""What the shelf knows of earlier reads."""

from pathlib import Path

import pytest

from router.database import Sqlite
from router.sources.shelf import QUERIES, Read, Shelf


def read_of(number: int, name: str, outcome: str, full: bool | None) -> Read:
    return Read(
        number=number,
        name=name,
        sha256=f"{number:064x}",
        size_bytes=1,
        observed_at_ms=number,
        started_ms=number,
        outcome=outcome,
        full=full,
    )


@pytest.mark.parametrize(
    ("later", "open_"),
    [
        ([], True),
        ([("monday.zip", "refused", None)], True),
        ([("monday.zip", "accepted", False)], False),
        ([("sunday.zip", "accepted", False)], True),
        ([("sunday.zip", "unchanged", True)], False),
    ],
)
async def test_what_could_not_be_opened_may_be_sent_again_under_its_name(
    tmp_path: Path, later: list[tuple[str, str, bool | None]], open_: bool
) -> None:
    async with Sqlite.open(tmp_path / "shelf.sqlite", QUERIES["schema"]) as database:
        shelf = Shelf(database)
        await shelf.save(read_of(1, "monday.zip", "refused", None))
        for number, (name, outcome, full) in enumerate(later, 2):
            await shelf.save(read_of(number, name, outcome, full))

        assert bool(shelf.read("gap", 9, 9, "9", "tuesday.zip")) is open_
        assert shelf.read("gap", 9, 9, "9", "monday.zip") == []
