"""A real scim2-server in a process of its own, and what the tests need to look into it."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

TOKEN = "the-district-token"
_STARTUP_DEADLINE_S = 20.0


@contextmanager
def scim_server(*arguments: str) -> Iterator[str]:
    """Its base URL, under which each path segment is a service of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("scim2-server")
    command = [program, "--port", str(port), "--bearer-token", TOKEN, "--dynamic-tenants", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def scim_url() -> Iterator[str]:
    """One server for all tests: each takes a tenant of its own in it."""
    with scim_server() as url:
        yield url


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _STARTUP_DEADLINE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"scim2-server did not come up on port {port}")


def call(url: str, method: str = "GET", body: object = None) -> Any:
    """Speak to the service past the adapter; the JSON answer, or None."""
    request = urllib.request.Request(
        url,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/scim+json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def accounts(url: str, external_id: str) -> list[dict[str, Any]]:
    """The accounts of a record, as the service has them."""
    found = call(f"{url}/Users?filter={quote(f'externalId eq {json.dumps(external_id)}')}")
    return found.get("Resources", [])


def make_account(url: str, **attributes: object) -> dict[str, Any]:
    """Put an account there by somebody else's hand."""
    body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], **attributes}
    return call(f"{url}/Users", "POST", body)
