"""CEL, compiled at load: every name and function in it is known before anything starts."""

import re
from typing import Final

import cel
from cel.stdlib import STDLIB_FUNCTIONS

_MACRO: Final = re.compile(r"\.\s*(?:map|filter|all|exists|exists_one)\s*\(\s*([A-Za-z_]\w*)\s*,", re.ASCII)
_SYNTAX: Final = re.compile(r"<input>:\d+:(\d+): (?:Syntax error: )?(.*)")
_NATIVE: Final = """
    bytes contains double duration endsWith has int matches size startsWith string timestamp uint
    getDate getDayOfMonth getDayOfWeek getDayOfYear getFullYear getHours getMinutes getMonth getSeconds
"""
_FROM_STDLIB: Final = """
    distinct first indexOf join last lowerAscii max min replace reverse sort split substring trim upperAscii
"""
_ADDED: Final = {name: STDLIB_FUNCTIONS[name] for name in _FROM_STDLIB.split()}
FUNCTIONS: Final = tuple(sorted([*_NATIVE.split(), *_ADDED]))
"""What an expression may call."""


class BadExpression(Exception):
    """It does not compile; the text says why, and where in it."""


class Expression:
    """A compiled CEL expression: pure, and the same answer to the same values."""

    __slots__ = ("_added", "_program", "functions", "text", "variables")

    def __init__(self, text: str) -> None:
        """Raises BadExpression."""
        try:
            self._program = cel.compile(text)
        except ValueError as error:
            raise BadExpression(_why(str(error))) from None
        self.text = text
        inner = set(_MACRO.findall(text))
        self.variables = tuple(name for name in sorted(self._program.variables()) if name not in inner)
        self.functions = tuple(name for name in self._program.functions() if name[0].isalpha())
        self._added = {name: _ADDED[name] for name in self.functions if name in _ADDED}

    def execute(self, context: dict[str, object], /) -> object:
        """Its value. Raises what cel raises: RuntimeError, TypeError, ValueError, LookupError and more."""
        return self._program.execute({**self._added, **context} if self._added else context)


def _why(message: str) -> str:
    if found := _SYNTAX.search(message):
        reason = found[2].split(", expecting")[0].split(" expecting {")[0]
        return f"{reason} at character {found[1]}"
    return message.splitlines()[0]
