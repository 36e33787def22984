"""Accounts of a SCIM 2.0 service (RFC 7643, 7644) as a destination.

`attributes` knows where a mapped field stands in an account, `wire` speaks to the service, `destination`
brings one account up to date.
"""

from adapters.scim.destination import Destination, Settings

__all__ = ["Destination", "Settings"]
