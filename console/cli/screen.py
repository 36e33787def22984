"""Where tables go: a terminal as wide as it is, a file or pipe without colours and without wrapping."""

from typing import Final

from rich.console import Console

PIPE_COLUMNS: Final = 200


def screen(*, stderr: bool = False) -> Console:
    """The console on standard output (or error)."""
    found = Console(stderr=stderr, highlight=False, soft_wrap=False)
    if not found.is_terminal:
        found = Console(stderr=stderr, highlight=False, width=PIPE_COLUMNS)
    return found
