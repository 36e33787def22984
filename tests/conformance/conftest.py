"""The real systems that destinations are held against."""

from collections.abc import Iterator

import pytest
from conformance.scim_server import scim_url  # noqa: F401
from record_server import RecordServer, record_server


@pytest.fixture(scope="session")
def records() -> Iterator[RecordServer]:
    """One server for all tests: each takes a tenant of its own in it."""
    with record_server() as server:
        yield server
