"""What a router answers when all is well, for tests of those who show it."""

from typing import Any

READ: dict[str, Any] = {
    "number": 3,
    "name": "export.zip",
    "started_ms": 1_795_449_600_000,
    "ended_ms": 1_795_449_601_000,
    "outcome": "accepted",
    "rows": 1234,
    "creates": 1000,
    "updates": 2,
    "deletes": 1,
    "set_aside": 0,
    "remarks": [],
}
WELL: dict[str, Any] = {
    "waiting": 0,
    "retrying": 0,
    "failed": 0,
    "oldest_ms": 0,
    "unreachable": "",
    "outcomes": {"delivered": 1200, "unchanged": 34},
    "last_delivery_ms": 1_795_449_600_000,
}
STATUS: dict[str, Any] = {
    "district": "Cobalt Landing",
    "timezone": "America/New_York",
    "at_ms": 1_795_449_600_000,
    "events": 4321,
    "changes": 4000,
    "outbox": 0,
    "sources": {"sis": {"published": 1, "unreachable": "", "last_read": READ}},
    "destinations": {"idp": {**WELL}, "warehouse": {**WELL}},
}
