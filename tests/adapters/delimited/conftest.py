"""The outbox of each test."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode has no other way to share a module here

from delimited_outbox import Outbox


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    (tmp_path / "out").mkdir()
    return Outbox(tmp_path)
