"""`yellowbus subject`: where on CHANGES a record stands."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from running import Place, lay_out

from bus import subjects
from console.cli import main
from router.config import load


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return lay_out(tmp_path)


def typed(place: Place, key: str) -> Result:
    return CliRunner().invoke(main, ["subject", key, *place.arguments])


def test_the_subject_is_the_one_that_the_router_publishes_to(place: Place) -> None:
    district = load(place.config, place.state)  # as a router's first start does

    found = typed(place, "student/1001")

    assert found.output.strip() == f"change.student.{subjects.Tokens(district.key)('student/1001')}"


def test_without_a_key_no_subject_is_made_up(place: Place) -> None:
    found = typed(place, "student/1001")

    assert found.exit_code == 1
    assert "the district has no key yet. Start the router once" in found.stderr
    assert not (place.state / "district.key").exists()


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("studnet/1001", 'Did you mean "student"?'),
        ("1001", "expected ENTITY/ID"),
        ("student/", "expected ENTITY/ID"),
    ],
)
def test_what_is_no_key_is_said(place: Place, key: str, said: str) -> None:
    found = typed(place, key)

    assert found.exit_code == 2
    assert said in found.stderr
