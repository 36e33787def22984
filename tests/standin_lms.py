"""The stand-in LMS as a process of its own that can be killed, and what a test sees and does there."""

import asyncio
import json
import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

TOKEN = "a token of the lms"
SECRET = "a secret of the lms"


class Told(NamedTuple):
    """One record that the hub told it of."""

    op: str
    table: str
    id: str
    body: dict[str, Any]


class StandIn:
    """`yellowbus standin-lms`, from answering to its end. Its file outlives it."""

    def __init__(self, file: Path, port: int, webhook: str) -> None:
        self.file = file
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._webhook = webhook
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "StandIn":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop()

    async def start(self) -> None:
        """Returns when somebody listens."""
        command = [sys.executable, "-m", "console.cli", "standin-lms", "--port", str(self._port)]
        with self.file.with_suffix(".log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - it takes a millisecond
                [*command, "--webhook", self._webhook, str(self.file)],
                stdout=log,
                stderr=log,
                env={**os.environ, "LMS_TOKEN": TOKEN, "LMS_SECRET": SECRET},
            )
        async with asyncio.timeout(20):
            while True:
                assert self._process.poll() is None, self.file.with_suffix(".log").read_text()
                try:
                    with socket.create_connection(("127.0.0.1", self._port), timeout=1):
                        return
                except OSError:
                    await asyncio.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM: its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(20)

    # -- by a teacher

    async def teach(self, table: str, id_: str, **edits: str) -> str:
        """What a teacher types there; returns what the LMS says to it."""
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}/teach/{table}/{id_}", data=edits) as answer,
        ):
            text = await answer.text()
            assert answer.status == 200, text
            return text.strip()

    # -- what is in its file

    def records(self, table: str) -> dict[str, dict[str, Any]]:
        return {id_: json.loads(body) for id_, body in self._rows(f"SELECT id, body FROM {table}")}

    def record(self, table: str, id_: str) -> dict[str, Any]:
        found = self._rows(f"SELECT body FROM {table} WHERE id = ?", id_)
        return json.loads(found[0][0]) if found else {}

    def told(self, table: str = "", id_: str = "", after: int = 0) -> list[Told]:
        """What the hub told it, in order: of one record, or of all."""
        rows = self._rows('SELECT op, "table", id, body FROM told WHERE number > ? ORDER BY number', after)
        found = [Told(op, its, of, json.loads(body)) for op, its, of, body in rows]
        return [each for each in found if table in ("", each.table) and id_ in ("", each.id)]

    def told_so_far(self) -> int:
        """A place in the log, for `told(after=...)`."""
        return int(self._rows("SELECT coalesce(max(number), 0) FROM told")[0][0])

    def answers(self) -> list[int | None]:
        """For each webhook the status that ended it; None: it is still to be said."""
        return [answer for (answer,) in self._rows("SELECT answer FROM said ORDER BY number")]

    def _rows(self, query: str, *values: object) -> list[Any]:
        if not self.file.exists():
            return []
        connection = sqlite3.connect(self.file)
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()
