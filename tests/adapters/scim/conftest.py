"""The real scim2-server, and a proxy in front of it that spoils one request."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from conformance.scim_server import scim_url  # noqa: F401
from conformance.subjects import Scim

from adapters.contract.proxy import Proxy, proxy_for
from adapters.scim import Destination


@pytest.fixture
def subject(tmp_path: Path, request: pytest.FixtureRequest) -> Scim:
    return Scim(tmp_path, request)


@pytest.fixture
async def proxy(subject: Scim) -> AsyncIterator[Proxy]:
    async with proxy_for(subject.url, "/Users") as proxy:
        yield proxy


@pytest.fixture
async def there(subject: Scim, proxy: Proxy) -> AsyncIterator[Destination]:
    destination = subject.make(proxy.url)
    yield destination
    await destination.close()
