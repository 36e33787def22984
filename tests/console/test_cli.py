"""The first line comes at once, and what goes wrong is said in one line on stderr."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bus.errors import Unavailable
from console import cli
from console.cli import COMMANDS, Command, main


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.stdout, result.stderr


def test_help_names_every_command_and_loads_none() -> None:
    code = "import sys; from console.cli import main; main(['--help'], standalone_mode=False)"
    printing = f"{code}; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", printing], capture_output=True, text=True, check=True).stdout

    assert all(f"  {name} " in out for name in COMMANDS)
    loaded = out.splitlines()[-1].split()
    assert "click" in loaded
    assert not {"pydantic", "asyncio", "yaml", "nats", "textual", "router.config", "bus.messages"} & set(
        loaded
    )


def test_a_mistyped_command_is_met_with_the_nearest_one() -> None:
    code, out, err = run("chekc")

    assert code == 2
    assert out == ""
    assert 'no command "chekc". Did you mean check?' in err


def test_a_command_whose_module_is_missing_says_so_without_a_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "up", Command("router.commands.no_such:up", "x"))

    code, out, err = run("up")

    assert (code, out) == (1, "")
    assert err == "Error: up: router.commands.no_such is not here. Install yellowbus again\n"


def test_an_error_for_the_person_on_call_is_one_line_on_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def fails() -> None:
        raise Unavailable("nats: nobody answers", runbook="bus-down")

    monkeypatch.setattr(cli, "fails", fails, raising=False)
    monkeypatch.setitem(COMMANDS, "up", Command("console.cli:fails", "x"))

    assert run("up") == (1, "", "Error: nats: nobody answers (runbooks/bus-down.md)\n")


def test_a_bug_is_not_dressed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def breaks() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "breaks", breaks, raising=False)
    monkeypatch.setitem(COMMANDS, "up", Command("console.cli:breaks", "x"))

    assert isinstance(CliRunner().invoke(main, ["up"]).exception, ZeroDivisionError)


def test_every_module_that_is_there_has_its_command() -> None:
    here = Path(cli.__file__).parents[2]
    there = [name for name, one in COMMANDS.items() if _file(here, one.reference).exists()]

    assert {"check", "schema", "doctor"} <= set(there)
    for name in there:
        assert isinstance(main.get_command(click.Context(main), name), click.Command)


def _file(folder: Path, reference: str) -> Path:
    return folder / (reference.partition(":")[0].replace(".", os.sep) + ".py")


def test_the_version_is_told() -> None:
    code, out, _ = run("--version")

    assert code == 0
    assert "2026." in out
