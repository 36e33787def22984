"""Systems that tell us themselves: signed JSON, posted over HTTP.

`events` reads a body, `signature` says whether it may be believed, `site` is the address that the listeners
of a process share, `source` is one sender's door there.
"""

from adapters.webhook.source import Source, SourceSettings

__all__ = ["Source", "SourceSettings"]
