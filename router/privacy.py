"""The state folder is about children: nobody but us reads what we keep there, whoever made it first."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

FOLDER: Final = 0o700
FILE: Final = 0o600

OURS: Final = ("nats", "sources", "adapters")
"""Folders in it that are ours altogether. What systems put in there or fetch from there is theirs."""

FILES: Final = ("*.sqlite*", "*.key", "router.*")
"""And files."""


def keep_private(state: Path) -> list[Path]:
    """Give the folder 0700, and what is ours in it 0700 and 0600.

    Returns what another user owns: that stays as it is.
    """
    return [path for path in (state, *_ours(state)) if not _is_private(path)]


def _ours(state: Path) -> Iterator[Path]:
    for pattern in FILES:
        yield from state.glob(pattern)
    for name in OURS:
        for folder, _, files in os.walk(state / name):
            yield Path(folder)
            yield from (Path(folder, file) for file in files)


def _is_private(path: Path) -> bool:
    """It is, or it has become so."""
    with suppress(FileNotFoundError):
        if path.is_symlink() or path.stat().st_mode & 0o077 == 0:
            return True
        try:
            path.chmod(FOLDER if path.is_dir() else FILE)
        except PermissionError:
            return False
    return True
