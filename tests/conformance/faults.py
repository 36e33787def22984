"""Answers that a SCIM service may give instead of what was hoped for."""

import json

from adapters.contract import proxy
from adapters.contract.proxy import Fault


def answer(status: int, body: str = "", **headers: str) -> Fault:
    """Answer instead of the service."""
    return proxy.answer(status, body, **{"Content_Type": "application/scim+json", **headers})


def error(status: int, scim_type: str = "", detail: str = "", **headers: str) -> Fault:
    """A SCIM error (RFC 7644 section 3.12)."""
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "status": str(status),
        "scimType": scim_type,
        "detail": detail,
    }
    return answer(status, json.dumps(body), **headers)
