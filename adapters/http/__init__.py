"""Systems that take JSON over HTTP, a record or a batch at a time.

`settings` says how a system wants it, `mapped` what cannot be told so, `bodies` makes and compares JSON,
`credentials` gets and renews tokens, `wire` asks, `meaning` reads answers, `destination` brings records up to
date, `listing` reads all of them back.
"""

from adapters.http.destination import Destination
from adapters.http.settings import Settings

__all__ = ["Destination", "Settings"]
