"""The real scim2-server."""

from conformance.scim_server import scim_url  # noqa: F401
