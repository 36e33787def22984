"""adapters/README.md is true: its files are written, its commands typed, and they answer what it shows."""

import os
import re
import subprocess
import sys
from pathlib import Path

from adapters.contract.laws import LAWS

PAGE = Path(__file__).parents[3] / "adapters" / "README.md"
BLOCKS = re.findall(r"^```\w*\n(.*?)^```", PAGE.read_text(), re.S | re.M)


def typed(block: str) -> list[tuple[str, str]]:
    """(command, what the page says that it answers)."""
    return [
        (command, answer) for command, _, answer in (part.partition("\n") for part in block.split("$ ")[1:])
    ]


def answers(command: str, folder: Path) -> str:
    own = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{own}{os.pathsep}{os.environ['PATH']}"}
    ran = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    return ran.stdout


def as_pattern(shown: str) -> str:
    """A line of ... stands for any lines."""
    return "".join(
        r"(?:.*\n)+" if line == "...\n" else re.escape(line) for line in shown.splitlines(keepends=True)
    )


def test_the_commands_of_the_page_answer_what_it_shows(tmp_path: Path) -> None:
    commands = 0
    for block in BLOCKS:
        if named := re.match(r"# (\w+\.\w+)\n", block):
            (tmp_path / named[1]).write_text(block)
        for command, shown in typed(block):
            answer = answers(command, tmp_path)
            assert re.fullmatch(as_pattern(shown), answer), f"{command}\n{answer}"
            commands += 1

    assert commands == 4
    assert list((tmp_path / "outbox").iterdir()) == []


def test_the_laws_of_the_page_are_there() -> None:
    text = PAGE.read_text()
    [table] = re.findall(r"^\| law \|.*?\n\n", text, re.S | re.M)
    names = {law.name for law in LAWS}

    assert {row.split(" | ")[0].strip("| ") for row in table.splitlines()[2:] if row} <= names
    assert f"The promise is {len(LAWS)} laws" in text
