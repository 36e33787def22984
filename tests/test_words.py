"""What the pages say is there: codes and runbooks, commands and their options, paths, tests."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest

from console.cli import COMMANDS, main
from router.alerts import KINDS

ROOT: Final = Path(__file__).parents[1]
CODE: Final = ("bus", "router", "adapters", "console")
TOP: Final = (*CODE, "integrations", "runbooks", "tests", "benchmarks", ".ci")
RUNBOOKS: Final = sorted((ROOT / "runbooks").glob("*.md"))
TEXTS: Final = ("README", "ARCHITECTURE", "CONTRIBUTING", "adapters/README")
PAGES: Final = [ROOT / f"{name}.md" for name in TEXTS] + RUNBOOKS
SECTIONS: Final = [
    "What you see",
    "What it means",
    "What is safe meanwhile",
    "Steps",
    "How to verify",
    "How to undo",
    "When to call someone",
]
CACHES: Final = {".git", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}
MACHINE: Final = tuple(f"/{folder}/" for folder in ("work", "root", "farm"))

on_every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def codes() -> set[str]:
    """Every reason code that the program can give: kinds of alerts, and `runbook=` in its source."""
    return set(KINDS) | {
        node.value
        for path in sources()
        for named in runbook_arguments(ast.parse(path.read_text()))
        for node in ast.walk(named)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value
    }


def runbook_arguments(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "runbook":
            yield node.value
        if isinstance(node, ast.arguments):
            given = zip(node.kwonlyargs, node.kw_defaults, strict=True)
            yield from (default for name, default in given if name.arg == "runbook" and default)


def sources() -> list[Path]:
    return [path for folder in CODE for path in (ROOT / folder).rglob("*.py")]


def code_of(page: Path) -> list[str]:
    """What a page shows as code: its spans, and of its blocks what is typed (not what is answered)."""
    text = page.read_text()
    lines = []
    for block in re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.S | re.M):
        shown = [line.strip() for line in block.splitlines()]
        typed = [line for line in shown if line.startswith("$ ")]
        lines += typed or shown
    spans = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.S))
    return lines + [" ".join(span.split()) for span in spans]


def commands_of(page: Path) -> Iterator[tuple[list[str], list[str]]]:
    """(sub-command and the one below it, options) of each `yellowbus ...` that a person would type."""
    for line in code_of(page):
        for name, rest in re.findall(r"(?:^|\$ |\$\(|: |\")yellowbus ([a-z][a-z-]*)([^\"#|()]*)", line):
            below = re.match(r" ([a-z]+)\b", rest)
            yield [name, *(below.groups() if below else ())], re.findall(r"--[a-z][a-z-]*", rest)


def test_every_code_has_its_runbook_and_every_runbook_a_code() -> None:
    assert {page.stem for page in RUNBOOKS} == codes()


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_a_runbook_has_its_sections_in_order_and_none_is_empty(page: Path) -> None:
    title, *parts = re.split(r"^## (.+)\n", page.read_text(), flags=re.M)

    assert title.startswith(f"# {page.stem}: ")
    assert parts[::2] == SECTIONS
    assert all(part.strip() for part in parts[1::2])


@on_every_page
def test_every_command_on_a_page_is_there_with_its_options(page: Path) -> None:
    context = click.Context(main)

    for (name, *below), options in commands_of(page):
        command = main.get_command(context, name)
        assert command, f"{page.name}: yellowbus {name}"
        if below and isinstance(command, click.Group):
            command = command.get_command(context, below[0])
            assert command, f"{page.name}: yellowbus {name} {below[0]}"
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        assert set(options) <= known, f"{page.name}: yellowbus {name} {' '.join(options)}"


@on_every_page
def test_every_path_on_a_page_is_there(page: Path) -> None:
    text = page.read_text()
    tops = "|".join(re.escape(top) for top in TOP)
    paths = re.findall(rf"(?<![\w./<>{{}}-])((?:{tops})/[\w./-]*[\w/])", text)
    links = re.findall(r"\]\(([^)#:]+)\)", text)

    missing = [path for path in paths if not (ROOT / path).exists()]
    missing += [link for link in links if not (page.parent / link).exists()]
    assert missing == []


@on_every_page
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    for path, name in re.findall(r"(tests/[\w/]+\.py)::(\w+)", page.read_text()):
        assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.M), f"{path}::{name}"


@on_every_page
def test_every_variable_on_a_page_is_read_somewhere(page: Path) -> None:
    source = "\n".join(path.read_text() for path in sources())

    for name in re.findall(r"\$(YELLOWBUS_[A-Z]+|NATS_[A-Z]+)", page.read_text()):
        assert f'"{name}"' in source, name


def test_the_pages_say_enough_to_be_looked_at() -> None:
    named = {names[0] for page in PAGES for names, _ in commands_of(page)}

    assert named >= {"up", "router", "check", "doctor", "status", "reads", "rebuild"}
    assert named <= set(COMMANDS)


def test_no_file_names_a_place_on_our_machines() -> None:
    folders = [path for top in TOP for path in (ROOT / top).rglob("*")]
    files = [path for path in [*ROOT.iterdir(), *folders] if path.is_file() and not CACHES & set(path.parts)]

    found = [
        str(path.relative_to(ROOT))
        for path in files
        for text in [path.read_bytes().decode(errors="replace")]
        if any(place in text for place in MACHINE)
    ]
    assert len(files) > 100
    assert found == []
