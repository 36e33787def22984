"""How a request is read and a reply written: JSON objects with a version."""

import json
from collections.abc import Mapping
from typing import Any, Final

from bus.errors import BusError

VERSION: Final = 1


def asked(request: bytes) -> Mapping[str, Any]:
    """The request's entries; an empty request has none. Raises BusError."""
    if not request:
        return {}
    try:
        found = json.loads(request)
    except ValueError:
        raise BusError("request: not JSON (expected an object)") from None
    if not isinstance(found, dict):
        raise BusError("request: not an object (expected a JSON object)")
    return found


def reply(entries: Mapping[str, Any]) -> bytes:
    """The answer with these entries."""
    return json.dumps({"version": VERSION, **entries}).encode()
