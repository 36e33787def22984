"""`${...}` in values: secrets from files and the environment, and the state folder."""

import dataclasses
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from router.config import positions
from router.config.positions import Document, Problem

_REFERENCE: Final = re.compile(r"\$\{([^{}]*)\}")
_FILE_BYTES_MAX: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Surrounding:
    """What `${file:NAME}` (in `folder`), `${env:NAME}`, `${env:NAME:-default}`, `${state}` stand for."""

    folder: Path
    state: Path
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)


def substitute(document: Document, surrounding: Surrounding) -> tuple[Document, list[Problem]]:
    """The document with every `${...}` in its values replaced. What is missing becomes a problem."""
    problems: list[Problem] = []
    hidden: dict[str, str] = {}

    def found(match: re.Match[str]) -> str:
        value = _value(match[1], surrounding)
        if value and not match[1].startswith("state"):
            hidden[value] = match[0]
        return value

    def replaced(value: object, path: positions.Path) -> object:
        if isinstance(value, dict):
            return {key: replaced(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [replaced(inner, (*path, n)) for n, inner in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        try:
            return _REFERENCE.sub(found, value)
        except LookupError as missing:
            problems.append(document.problem(path, str(missing.args[0])))
            return value

    data = replaced(document.data, ())
    return dataclasses.replace(document, data=data, hidden=hidden), problems


def _value(reference: str, surrounding: Surrounding) -> str:
    kind, _, name = reference.partition(":")
    if kind == "state" and not name:
        return str(surrounding.state.absolute())
    if kind == "env" and name:
        return _from_environment(name, surrounding.environ)
    if kind == "file" and name:
        return _from_file(name, surrounding.folder)
    raise LookupError(f"${{{reference}}} (expected ${{file:NAME}}, ${{env:NAME}} or ${{state}})")


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    name, has_default, default = name.partition(":-")
    value = environ.get(name) or (default if has_default else None)
    if value is None:
        raise LookupError(f"${{env:{name}}} is not set. Set it, or write ${{env:{name}:-default}}")
    return value


def _from_file(name: str, folder: Path) -> str:
    path = folder / name
    try:
        with path.open("rb") as file:
            content = file.read(_FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no file name"
        raise LookupError(f"${{file:{name}}}: {path}: {reason}") from None
    if len(content) > _FILE_BYTES_MAX:
        raise LookupError(f"${{file:{name}}}: more than {_FILE_BYTES_MAX} bytes (expected a secret)")
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        raise LookupError(f"${{file:{name}}}: not text (expected a secret)") from None
    if not text:
        raise LookupError(f"${{file:{name}}} is empty (expected a secret)")
    return text
