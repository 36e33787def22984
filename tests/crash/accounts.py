"""A SCIM service as a process that can be killed: `python -m crash.accounts PORT FILE`.

scim2-server with a store that outlives it: what it answers for is on disk before.
"""

import itertools
import sys
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from crash.book import Applied, Book
from scim2_models import ResourceType, ScimProvider
from scim2_server import utils
from scim2_server.memory import InMemoryStorage
from scim2_server.testserver.application import BearerTokenApplication

TOKEN = "a token of the accounts"
TABLE = "Users"


class Store(InMemoryStorage):
    """In memory, and in the book."""

    def __init__(self, book: Book, user: type[Any]) -> None:
        super().__init__()
        self._book = book
        self.resources = [user.model_validate(body) for _, _, body in book.held()]
        self.versions = itertools.count(len(book.applied()) + 1)

    def create(self, resource_type: ResourceType, resource: Any) -> Any:
        with self.lock:
            made = super().create(resource_type, resource)
            self._keep(made, "create")
            return made

    def update(self, resource_type: ResourceType, resource: Any, **expected: Any) -> Any:
        with self.lock:
            made = super().update(resource_type, resource, **expected)
            self._keep(made, "update")
            return made

    def delete(self, resource_type: ResourceType, resource_id: str, **expected: Any) -> None:
        with self.lock:
            gone = self.get(resource_type, resource_id)
            super().delete(resource_type, resource_id, **expected)
            self._keep(gone, "delete")

    def _keep(self, resource: Any, op: str) -> None:
        body = None if op == "delete" else resource.model_dump()
        self._book.begin()
        self._book.save(resource.id, body, Applied(TABLE, resource.external_id, op))
        self._book.commit()


class Server(ThreadingMixIn, WSGIServer):
    """A thread for each request, as scim2-server has it."""

    daemon_threads = True
    request_queue_size = 128


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


def main() -> None:
    port, file = int(sys.argv[1]), Path(sys.argv[2])
    provider = ScimProvider.from_discovery(
        utils.load_default_schemas().values(),
        utils.load_default_resource_types().values(),
        config=utils.load_default_service_provider_config(),
    )
    with Book(file) as book:
        app = BearerTokenApplication(
            Store(book, provider.model_for_endpoint("/Users")), provider, bearer_tokens=[TOKEN]
        )
        with make_server("127.0.0.1", port, app, server_class=Server, handler_class=Quiet) as server:
            server.serve_forever()


if __name__ == "__main__":
    main()
