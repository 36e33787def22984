"""Everything that is wrong with a configuration, at once."""

from pathlib import Path

from router.config.compile import compile_folder
from router.config.folder import DISTRICT, read_folder
from router.config.positions import Problem
from router.config.settings import Surrounding
from router.core.rules import District


def check_folder(
    folder: Path, state: Path, *, make_key: bool = False
) -> tuple[District | None, list[Problem]]:
    """The District (None if anything is wrong), and every problem in order of file and line.

    Leaves no trace unless `make_key`.
    """
    if not folder.is_dir():
        return None, [Problem(str(folder), 0, 0, f"is no folder (expected one with {DISTRICT})")]
    surrounding = Surrounding(folder=folder, state=state)
    return compile_folder(read_folder(surrounding), state, make_key=make_key)
