"""`yellowbus doctor` finds what would bite later."""

from pathlib import Path

from click.testing import CliRunner

from bus.connection import connect
from bus.embedded import embedded
from router.commands.doctor import (
    _look_at_clock,
    _look_at_room,
    doctor,
    look_at_binary,
    look_at_names,
    look_at_python,
    look_at_server,
)

EXAMPLE = Path(__file__).parents[3] / "integrations"


def test_an_installation_that_works_has_nothing_bad(tmp_path: Path) -> None:
    result = CliRunner().invoke(doctor, ["--config", str(EXAMPLE), "--state", str(tmp_path)])

    assert [line for line in result.stdout.splitlines() if line.startswith("BAD")] == []
    assert result.exit_code == 0


def test_a_bad_configuration_is_found_and_exits_1(tmp_path: Path) -> None:
    result = CliRunner().invoke(doctor, ["--config", str(tmp_path), "--state", str(tmp_path)])

    assert result.exit_code == 1
    assert "BAD" in result.stdout
    assert "yellowbus check" in result.stdout


def test_a_foreign_owner_of_an_import_name_is_found() -> None:
    found = list(look_at_names({"bus": ["yellowbus"], "adapters": ["adapters", "yellowbus"]}))

    assert [finding.well for finding in found] == [True, True, False, True]
    assert "import name adapters is owned by adapters too" in found[2].text


def test_python_packages_and_the_server_binary_are_there() -> None:
    assert all(finding.well for finding in look_at_python())
    assert look_at_binary().well


def test_a_clock_that_is_off_is_found() -> None:
    assert _look_at_clock("2026-11-23T15:00:00.123456789Z", 1795446000.0, 1795446000.2).well
    assert not _look_at_clock("2026-11-23T15:00:09.000000000Z", 1795446000.0, 1795446000.2).well
    assert not _look_at_clock("2026-11-23T14:59:51.000000000Z", 1795446000.0, 1795446000.2).well


def test_an_account_without_room_is_found() -> None:
    full = {"storage": 9 * 1024**3, "limits": {"max_storage": 9 * 1024**3 + 1}}

    assert [finding.well for finding in _look_at_room(full)] == [False]
    assert [finding.well for finding in _look_at_room({"storage": 1, "limits": {"max_storage": -1}})] == [
        True
    ]


async def test_a_server_without_our_streams_is_found(tmp_path: Path) -> None:
    async with embedded(tmp_path / "nats", synced=False) as address, connect(address) as connection:
        found = await look_at_server(connection, replicas=1)

    assert next(finding.text for finding in found if not finding.well).startswith("stream EVENTS: ")
    assert found[0].well
    assert found[0].text.startswith("nats-server at nats://127.0.0.1:")
