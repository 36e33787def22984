"""`yellowbus standin-lms`: the stand-in, from its start to SIGTERM."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Final

import click
from aiohttp import web

from bus.errors import YellowbusError

from .book import Book
from .desk import Desk
from .postman import Postman

HOST: Final = "127.0.0.1"
TOKEN: Final = "a token for trying things"
SECRET: Final = "a secret for trying things"
"""As in the example's lms.yaml: without LMS_TOKEN and LMS_SECRET both know each other."""


@click.command()
@click.option("--port", default=8890, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--webhook", default=f"http://{HOST}:8089/lms", show_default=True, help="Where the hub listens."
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def standin_lms(port: int, webhook: str, file: Path) -> None:
    """Run a small LMS on loopback, with all that it has in FILE, to try the hub with.

    The hub writes to it over HTTP. What a teacher does in it, it posts to the hub, signed, until that has
    taken it. A teacher withdraws a student so:

        curl -d status=withdrawn http://127.0.0.1:8890/teach/enrollments/ID

    Both know each other by $LMS_TOKEN and $LMS_SECRET.
    """
    book = Book(file)
    try:
        asyncio.run(_serve(book, port, webhook))
    finally:
        book.close()


async def _serve(book: Book, port: int, webhook: str) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    postman = Postman(book, webhook, os.environ.get("LMS_SECRET") or SECRET)
    desk = Desk(book, postman, os.environ.get("LMS_TOKEN") or TOKEN)
    runner = web.AppRunner(desk.application(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
    except OSError as error:
        await runner.cleanup()
        raise YellowbusError(f"{HOST}:{port}: {error.strerror or error}. Another port: --port") from None
    async with asyncio.TaskGroup() as group:
        posting = group.create_task(postman.run())
        await stop.wait()
        posting.cancel()
    await runner.cleanup()
