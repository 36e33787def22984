"""The example district, and a router of its own process on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from running import Place, Router, lay_out


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return lay_out(tmp_path)


@pytest.fixture
def router(place: Place) -> Iterator[Router]:
    with Router(place) as router:
        yield router
