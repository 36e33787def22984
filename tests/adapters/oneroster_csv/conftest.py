"""The inbox and outbox of each test, and where the districts are that were not made by us."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode has no other way to share a module here

from oneroster_inbox import Inbox
from oneroster_outbox import Outbox

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    (tmp_path / "in").mkdir()
    return Inbox(tmp_path)


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    (tmp_path / "out").mkdir()
    return Outbox(tmp_path)


@pytest.fixture
def data() -> Path:
    """The folder of sample districts beside the repository."""
    if not DATA.is_dir():
        pytest.skip(f"{DATA} is not there: the districts that were not made by us")
    return DATA
