"""Under which names the index keeps what it knows of a destination that was added."""


def known(system: str) -> str:
    """1: it was here from the beginning, or has arrived."""
    return f"known.{system}"


def offered(system: str) -> str:
    """The number that the next job had when a backfill was offered; 0: none was."""
    return f"offered.{system}"
