"""A real server with a tenant of its own for each test, and a destination in front of it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from conformance.subjects import Http, HttpOwnIds
from record_server import RecordServer, Tenant, record_server

from adapters.http import Destination


@pytest.fixture(scope="session")
def records() -> Iterator[RecordServer]:
    with record_server() as server:
        yield server


@pytest.fixture
def subject(tmp_path: Path, request: pytest.FixtureRequest) -> Http:
    return Http(tmp_path, request)


@pytest.fixture
def own_ids(tmp_path: Path, request: pytest.FixtureRequest) -> HttpOwnIds:
    return HttpOwnIds(tmp_path, request)


@pytest.fixture
def tenant(subject: Http) -> Tenant:
    return subject.tenant


@pytest.fixture
async def there(subject: Http) -> AsyncIterator[Destination]:
    destination = subject.make()
    yield destination
    await destination.close()
