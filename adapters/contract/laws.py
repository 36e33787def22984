"""All laws, in the order in which a new adapter learns to keep them."""

from typing import Final

from . import batches, calls, nights, records, removals
from .law import Law, laws_of

LAWS: Final[tuple[Law, ...]] = tuple(
    law for module in (records, removals, batches, calls, nights) for law in laws_of(module)
)
