"""Processes that a command starts beside itself, and that never outlive it."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from bus.errors import YellowbusError

STOP_MAX_S: Final = 25.0
"""Longer than the router's drain."""


class Child:
    """One process of ours, with its output in a file."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    def check(self) -> None:
        """Raises YellowbusError with its last words if it has ended."""
        code = self._process.poll()
        if code is not None:
            raise YellowbusError(
                f"{self.name} ended (exit {code}): {self._last_words()}. Its log: {self.log}"
            )

    def stop(self) -> int:
        """SIGTERM, and SIGKILL for one that does not take it. Returns its exit code; twice is fine."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_MAX_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        said = [number for number, line in enumerate(lines) if line.startswith("Error: ")]
        words = " ".join(lines[said[-1] :]) if said else (lines[-1] if lines else "without a word")
        return words.removeprefix("Error: ")


class Children:
    """The processes of one command, stopped in reverse order however it ends."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A second Ctrl-C must not leave one behind.
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            for child in reversed(self._children):
                child.stop()
        finally:
            for number, action in before.items():
                signal.signal(number, action)

    def start(self, name: str, command: Sequence[str], log: Path, **environ: str) -> Child:
        """Start `python -m <command>`. Ctrl-C does not reach it: it is stopped in its turn."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=_environ(environ),
                start_new_session=True,
            )
        child = Child(name, process, log)
        self._children.append(child)
        return child


def program() -> str:
    """What a person types to run us: our name, or where it stands if the shell would not find it."""
    if shutil.which("yellowbus"):
        return "yellowbus"
    return os.path.relpath(Path(sys.executable).with_name("yellowbus"))


def yellowbus(*arguments: str) -> None:
    """Run one of our own commands to its end. Raises YellowbusError with what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "console.cli", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        said = done.stderr.strip().removeprefix("Error: ")
        raise YellowbusError(f"yellowbus {arguments[0]}: {said or f'exit {done.returncode}'}")


def _environ(more: Mapping[str, str]) -> dict[str, str]:
    """Ours, without what would point the child at somebody else's district."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("YELLOWBUS_")}
    return {**kept, **more}
