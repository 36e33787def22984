"""How `yellowbus router` and `yellowbus up` begin and end."""

import asyncio
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from running import Place, lay_out, sampled

from bus.errors import Unavailable, YellowbusError
from console.cli import main
from router.commands.daemon import make_folders, run
from router.config import load

STUDENT = "Wanda"
UP_MAX_S = 30.0


def raises(error: BaseException) -> None:
    async def work() -> None:
        raise error

    run(work())


async def in_group(error: Exception) -> None:
    async def fail() -> None:
        raise error

    async with asyncio.TaskGroup() as outer:
        async with asyncio.TaskGroup() as inner:
            inner.create_task(fail())
            inner.create_task(asyncio.sleep(60))
        outer.create_task(asyncio.sleep(60))


def test_what_a_person_has_to_mend_comes_out_of_any_depth_of_groups() -> None:
    with pytest.raises(Unavailable, match="the folder is gone"):
        run(in_group(Unavailable("the folder is gone")))


def test_a_file_that_we_may_not_touch_is_named() -> None:
    with pytest.raises(YellowbusError, match="/var/lib/x: Permission denied"):
        raises(PermissionError(13, "Permission denied", "/var/lib/x"))


def test_a_bug_leaves_its_place_in_the_log_and_not_its_text(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.CRITICAL), pytest.raises(YellowbusError) as told:
        run(in_group(KeyError(STUDENT)))

    [record] = caplog.records
    assert (record.message, record.error) == ("bug", "KeyError")  # type: ignore[attr-defined]
    assert any("test_daemon_command.py" in frame for frame in record.frames)  # type: ignore[attr-defined]
    assert STUDENT not in caplog.text + str(told.value)


def test_folders_inside_the_state_folder_are_made_and_no_others(tmp_path: Path) -> None:
    place = lay_out(tmp_path)
    for folder in place.state.iterdir():
        folder.rmdir()
    elsewhere = tmp_path / "mounted"
    sis = place.config / "sis.yaml"
    sis.write_text(sis.read_text().replace("${state}/sis", str(elsewhere)))

    make_folders(load(place.config, place.state), place.state)

    assert (place.state / "assessment").is_dir()
    assert not elsewhere.exists()


def test_a_configuration_that_check_refuses_starts_nothing(tmp_path: Path) -> None:
    place = lay_out(tmp_path)
    (place.config / "sis.yaml").write_text("system: sis\nsorce: {}\n")

    for command in ("up", "router", "rebuild"):
        found = CliRunner().invoke(main, [command, *place.arguments])
        assert found.exit_code == 1, command
        assert 'sis.yaml:2:1: unknown key "sorce". Did you mean "source"?' in found.stderr


def test_up_runs_everything_says_what_it_does_and_drains_at_ctrl_c(tmp_path: Path) -> None:
    place = lay_out(tmp_path)
    for folder in place.state.iterdir():
        folder.rmdir()
    package = sampled(tmp_path, students=10)

    with (tmp_path / "said").open("w") as said:
        up = subprocess.Popen([sys.executable, "-m", "console.cli", "up", *place.arguments], stderr=said)
    _until(lambda: (place.state / "sis").exists() and "nothing read yet" in _said(tmp_path), up)
    _put(place, package)
    _until(lambda: f"{package.name}: taken" in _said(tmp_path), up)
    up.send_signal(signal.SIGINT)

    assert up.wait(UP_MAX_S) == 0, _said(tmp_path)
    assert _said(tmp_path).endswith("Stopped.\n")
    assert '"message": "ready"' in (place.state / "router.log").read_text()


def _said(folder: Path) -> str:
    return (folder / "said").read_text()


def _put(place: Place, package: Path) -> None:
    (place.state / "sis" / f"{package.name}.ready").touch()
    package.rename(place.state / "sis" / package.name)


def _until(true: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    until_s = time.monotonic() + UP_MAX_S
    while not true():
        assert process.poll() is None and time.monotonic() < until_s
        time.sleep(0.02)
