"""The demo's identity provider: scim2-server, with its accounts kept in a file from one run to the next.

`python -m console.cli.accounts --port N FILE`. A process of its own; SIGTERM ends it.
"""

import json
import re
import signal
import sys
from itertools import count
from pathlib import Path
from typing import Any, Final, NoReturn, cast
from wsgiref.simple_server import WSGIRequestHandler, make_server

import click
from scim2_models import Resource, ScimProvider
from scim2_server.applications.wsgi import WSGIApplication
from scim2_server.memory import InMemoryStorage
from scim2_server.testserver.cli import ThreadingWSGIServer
from scim2_server.utils import (
    load_default_resource_types,
    load_default_schemas,
    load_default_service_provider_config,
)

USER: Final = "User"
TEXT: Final = "utf-8"


class Server(ThreadingWSGIServer):
    """With room for all connections of a destination that delivers side by side."""

    request_queue_size = 128


class Quiet(WSGIRequestHandler):
    """Without a line for each request: it would name accounts."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@click.command()
@click.option("--port", required=True, type=int)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def main(port: int, file: Path) -> None:
    """Serve SCIM on loopback; keep the accounts in FILE."""
    provider = ScimProvider.from_discovery(
        load_default_schemas().values(),
        load_default_resource_types().values(),
        config=load_default_service_provider_config(),
    )
    storage = InMemoryStorage()
    _load(storage, provider, file)
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    application = WSGIApplication(storage, provider)
    with make_server("127.0.0.1", port, application, server_class=Server, handler_class=Quiet) as server:
        try:
            server.serve_forever(poll_interval=0.1)
        finally:
            _save(storage, file)


def _load(storage: InMemoryStorage, provider: ScimProvider, file: Path) -> None:
    if not file.exists():
        return
    model = cast(type[Resource[Any]], provider.model_for(USER))
    storage.resources = [model.model_validate(account) for account in json.loads(file.read_text(TEXT))]
    # A version that was given once must not come again for another content.
    given = [
        re.sub(r"\D", "", (account.meta and account.meta.version) or "") for account in storage.resources
    ]
    storage.versions = count(max((int(digits or 0) for digits in given), default=0) + 1)


def _save(storage: InMemoryStorage, file: Path) -> None:
    """Whole or not at all."""
    part = file.with_name(file.name + ".part")
    accounts = [account.model_dump() for account in storage.resources]
    part.write_text(json.dumps(accounts, indent=1), TEXT)
    part.replace(file)


def _stop(number: int, frame: object) -> NoReturn:
    sys.exit(0)


if __name__ == "__main__":
    main()
