"""The real systems that destinations are held against."""

from conformance.scim_server import scim_url  # noqa: F401
