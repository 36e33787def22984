"""Accounts of a SCIM 2.0 service (RFC 7643, 7644) as a destination, and as a source.

`attributes` knows where a mapped field stands in an account, `mapped` what of a mapping fits, `wire`
speaks to the service, `meaning` knows what its answers say of it as a whole. `destination` brings one account
up to date. `source` looks at all of them: `paging` sees that none is missed, `columns` makes rows of them,
and in a `reading` these wait.
"""

from adapters.scim.destination import Destination
from adapters.scim.settings import Settings, SourceSettings
from adapters.scim.source import Source

__all__ = ["Destination", "Settings", "Source", "SourceSettings"]
