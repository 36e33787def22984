"""What can be asked of the router: micro services on `cmd.<operator>.<what>`, answered in JSON.

One module for each noun; each has `commands(pipeline, now_ms)`, and `commands` here is all of them.
"""

from collections.abc import Callable

from bus.services import Command
from router.pipeline import Pipeline
from router.services import (
    adopt,
    audit,
    conflicts,
    explain,
    failed,
    holds,
    pauses,
    plan,
    records,
    replay,
    shares,
    status,
    unmatched,
)

NOUNS = (
    status,
    audit,
    conflicts,
    unmatched,
    records,
    explain,
    failed,
    holds,
    plan,
    adopt,
    shares,
    replay,
    pauses,
)


def commands(pipeline: Pipeline, now_ms: Callable[[], int]) -> list[Command]:
    """All that this router answers."""
    return [command for noun in NOUNS for command in noun.commands(pipeline, now_ms)]
