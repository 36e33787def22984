"""`yellowbus demo`, as somebody without a terminal runs it on a fresh clone."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from running import copy_example
from standin_lms import StandIn

STUDENTS = "50"
STOP_MAX_S = 40.0


def command(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "console.cli", "demo", "--folder", str(folder), *arguments]


def demo(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command(folder, *arguments), capture_output=True, text=True, timeout=120)


def delivered(output: str) -> dict[str, tuple[int, ...]]:
    """The end's table: destination -> (delivered, unchanged, filtered, failed, waiting)."""
    lines = output.partition("per second")[2].partition("\n\n")[0].splitlines()
    rows = [line.split() for line in lines if line.strip()]
    return {name: tuple(int(cell.replace(",", "")) for cell in cells[:5]) for name, *cells in rows}


def left_behind(folder: Path) -> list[str]:
    """The processes whose command line names the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a configuration that is there already, so it is kept: one at a pace for tests."""
    folder = tmp_path_factory.mktemp("demo")
    copy_example(folder)
    return folder


@pytest.fixture(scope="module")
def first(folder: Path) -> "subprocess.CompletedProcess[str]":
    return demo(folder, "--students", STUDENTS)


def test_everything_arrives_at_four_systems_and_it_says_where_to_look(
    folder: Path, first: "subprocess.CompletedProcess[str]"
) -> None:
    assert first.returncode == 0, first.stderr
    table = delivered(first.stdout)
    sis = table.pop("sis")  # it is told what others have changed: of its own export, nothing
    assert sis[0] == sum(sis[2:]) == 0 and sis[1] > int(STUDENTS)
    assert set(table) == {"assessment", "idp", "lms", "warehouse"}
    for name, (done, unchanged, filtered, failed, waiting) in table.items():
        assert done > int(STUDENTS), name
        assert (unchanged, filtered, failed, waiting) == (0, 0, 0, 0), name
    assert str(folder / "state" / "warehouse.db") in first.stdout
    assert "nats stream view AUDIT --translate" in first.stdout and 'yellowbus decode"' in first.stdout
    assert len(json.loads((folder / "accounts.json").read_text())) == table["idp"][0]
    assert len(StandIn(folder / "lms.sqlite", 0, "").told()) == table["lms"][0]
    assert (folder / "nats.env").stat().st_mode & 0o777 == 0o600
    assert "events" in first.stderr  # progress
    assert left_behind(folder) == []


@pytest.mark.usefixtures("first")
def test_again_nothing_is_delivered_and_the_next_day_only_the_differences(folder: Path) -> None:
    again = demo(folder)
    second = demo(folder, "--day", "2")
    assert (again.returncode, second.returncode) == (0, 0), again.stderr + second.stderr
    remembered = json.loads((folder / "demo.json").read_text())

    assert "0 events, 0 changes, 0 deliveries" in again.stdout
    assert "nothing was delivered twice" in again.stdout
    assert all(cells == (0, 0, 0, 0, 0) for cells in delivered(again.stdout).values())
    done = [cells[0] for cells in delivered(second.stdout).values()]
    assert 0 < max(done) < 300
    assert remembered == {"students": int(STUDENTS), "day": 2}  # what the next run repeats
    assert left_behind(folder) == []


@pytest.mark.usefixtures("first")
def test_another_size_of_district_is_not_mixed_in(folder: Path) -> None:
    found = demo(folder, "--students", "51")

    assert found.returncode == 1
    assert "a district of 50 students already" in found.stderr and "--reset" in found.stderr


@pytest.mark.parametrize(
    ("lock", "said"),
    [("demo.lock", "a demo is running here"), ("state/router.lock", "a router is running here")],
)
def test_a_folder_in_use_is_not_touched_even_by_a_reset(tmp_path: Path, lock: str, said: str) -> None:
    (tmp_path / "state").mkdir()
    with (tmp_path / lock).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        found = demo(tmp_path, "--reset")

    assert found.returncode == 1 and said in found.stderr
    assert (tmp_path / "state").exists()


def test_ctrl_c_stops_it_cleanly_and_leaves_no_process(tmp_path: Path) -> None:
    with (tmp_path / "output").open("w") as output:
        process = subprocess.Popen(
            command(tmp_path / "demo", "--students", "300"),
            stderr=output,
            stdout=output,
            start_new_session=True,
        )
    until = time.monotonic() + STOP_MAX_S
    while "put there" not in (tmp_path / "output").read_text() and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)

    code = process.wait(STOP_MAX_S)

    said = (tmp_path / "output").read_text()
    assert code == 130, said
    assert "Stopped. What has flowed so far is kept" in said and "Traceback" not in said
    assert (tmp_path / "demo" / "integrations" / "sis.yaml").exists()
    assert left_behind(tmp_path / "demo") == []


def test_a_process_that_does_not_come_up_is_said_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "integrations").mkdir()
    (tmp_path / "integrations" / "district.yaml").write_text("nam: x\n")

    found = demo(tmp_path, "--students", STUDENTS)

    assert found.returncode == 1
    assert "router ended (exit 1)" in found.stderr and "district.yaml:1:1" in found.stderr
    assert "Traceback" not in found.stderr
    assert left_behind(tmp_path) == []
