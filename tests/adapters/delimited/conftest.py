"""The inbox and outbox of each test."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode has no other way to share a module here

from delimited_inbox import Inbox
from delimited_outbox import Outbox


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    (tmp_path / "out").mkdir()
    return Outbox(tmp_path)


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    (tmp_path / "in").mkdir()
    return Inbox(tmp_path)
