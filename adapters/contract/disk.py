"""A disk without room, for this process alone."""

import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def full_disk() -> AsyncIterator[None]:
    """No file of this process may grow meanwhile: what is written raises OSError, as on a full disk."""
    usual, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (usual, most))
