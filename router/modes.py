"""What may be done at a destination now. A new one is only observed: all is decided and audited up to the
send. It goes live when a person approves the report of its first contact.

The approval is a fact on STATE; in the index it is a position, as every step reads it.
"""

from typing import Final

from router.store import Store

OBSERVE: Final = "observe"
LIVE: Final = "live"


def position_of(system: str) -> str:
    """Under which name the index keeps since when (in milliseconds) a system is live by approval."""
    return f"live.{system}"


def mode_now(store: Store, system: str, mode: str) -> str:
    """The mode that its file says, unless it only says to observe, and a person has approved more."""
    return LIVE if mode == OBSERVE and store.position(position_of(system)) else mode
