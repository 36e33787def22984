"""The status that follows the router: drawn in place on a terminal, else a line whenever something moved."""

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import click
from rich.live import Live
from rich.text import Text

from .render import status_text, status_view
from .screen import screen

LINE_EVERY_S: Final = 2.0


class View:
    """Shows answers of the router until the block ends."""

    def __init__(self, *, log: Path, now_s: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._now_s = now_s
        self._screen = screen(stderr=True)
        self._stack = ExitStack()
        self._live: Live | None = None
        self._last = ""
        self._next_s = 0.0

    def __enter__(self) -> Self:
        self.tell(f"Starting. Ctrl-C stops. The log: {self._log}")
        if self._screen.is_terminal:
            first = Text("Starting ...")
            self._live = self._stack.enter_context(Live(first, console=self._screen, refresh_per_second=4))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live = None
        self._stack.close()
        self.tell("Stopped." if error is None else "Stopped by an error.")

    def show(self, answer: bytes) -> None:
        """The router's answer to `status`."""
        status = json.loads(answer)
        if self._live:
            self._live.update(status_view(status))
        else:
            self._line(status_text(status))

    def tell(self, text: str) -> None:
        """Why there is nothing to show now."""
        if self._live:
            self._live.update(Text(text, style="yellow"))
        else:
            self._line(text, at_once=True)

    def _line(self, text: str, *, at_once: bool = False) -> None:
        now_s = self._now_s()
        if text != self._last and (at_once or now_s >= self._next_s):
            click.echo(text, err=True)
            self._last, self._next_s = text, now_s + LINE_EVERY_S
