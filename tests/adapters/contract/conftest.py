"""The real systems that wrong adapters are held against."""

from collections.abc import Iterator

import pytest
from record_server import RecordServer, record_server


@pytest.fixture(scope="session")
def records() -> Iterator[RecordServer]:
    with record_server() as server:
        yield server
