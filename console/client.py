"""The console's one door to the bus: where it is, who asks, what the router answers."""

import asyncio
import functools
import getpass
import json
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar, cast

import click

from bus.connection import Address, ApiError, Connection, connect
from bus.embedded import address_in
from bus.errors import Unavailable, YellowbusError
from bus.services import ask

C = TypeVar("C", bound=Callable[..., Any])
T = TypeVar("T")

ANSWER_MAX_S: Final = 5.0
VERSION: Final = 1
"""Of the router's answers, the newest that this console reads."""


class Where(NamedTuple):
    """Where the bus is: a server, or the state folder whose own server it is."""

    server: str = ""
    creds: str = ""
    state: Path = Path("state")

    def address(self) -> Address:
        """Raises Unavailable if no server was ever started on the folder."""
        if self.server:
            return Address(url=self.server, credentials=self.creds)
        return address_in(self.state / "nats")


def bus_options(command: C) -> C:
    """`--server`, `--creds`, `--state`: the command gets `where`, a Where."""

    @functools.wraps(command)
    def with_where(*args: Any, server: str, creds: str, state: Path, **others: Any) -> Any:
        return command(*args, where=Where(server, creds, state), **others)

    options = (
        click.option(
            "--server",
            default="",
            envvar="YELLOWBUS_SERVER",
            help="The server, as in nats://bus.example:4222 [$YELLOWBUS_SERVER].",
        ),
        click.option(
            "--creds", default="", envvar="YELLOWBUS_CREDS", help="Credentials file [$YELLOWBUS_CREDS]."
        ),
        click.option(
            "--state",
            default=Path("state"),
            envvar=["YELLOWBUS_STATE", "STATE_DIRECTORY"],
            type=click.Path(path_type=Path, file_okay=False),
            help="Without a server: the state folder whose own server is asked [$YELLOWBUS_STATE, ./state].",
        ),
    )
    for option in reversed(options):
        with_where = option(with_where)
    return cast(C, with_where)


def operator() -> str:
    """Who asks: the name of the account, as one token of a subject."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = ""
    return safe_token(name) or "operator"


def safe_token(name: str) -> str:
    """A name with everything that means something in a subject replaced.

    >>> safe_token("ada.king@district")
    'ada-king-district'
    """
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")


class Client:
    """One connection, for as long as a command runs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._operator = operator()

    async def ask(
        self, what: str, request: Mapping[str, object] | None = None, *, within_s: float = ANSWER_MAX_S
    ) -> dict[str, Any]:
        """The router's answer. Raises Unavailable (nobody answers), Denied, BusError with its text."""
        body = json.dumps(request).encode() if request else b""
        answer: dict[str, Any] = json.loads(
            await ask(self._connection, self._operator, what, body, timeout_s=within_s)
        )
        if answer.get("version", 0) > VERSION:
            raise YellowbusError(f"{what}: the router is newer than this console. Update yellowbus here")
        return answer

    async def pending(self, stream: str, durable: str) -> int | None:
        """How many messages of a stream that consumer has not settled; None: there is no such consumer."""
        try:
            info = await self._connection.api(f"CONSUMER.INFO.{stream}.{durable}")
        except ApiError:
            return None
        return int(info["num_pending"]) + int(info["num_ack_pending"])


@asynccontextmanager
async def client(where: Where) -> AsyncIterator[Client]:
    """Connect until the block ends. Raises Unavailable."""
    async with connect(where.address()) as connection:
        yield Client(connection)


def answer_of(
    where: Where,
    what: str,
    request: Mapping[str, object] | None = None,
    *,
    within_s: float = ANSWER_MAX_S,
) -> dict[str, Any]:
    """Connect, ask once, and go. Raises Unavailable, Denied, BusError."""
    return asked_of(where, lambda asking: asking.ask(what, request, within_s=within_s))


def asked_of(where: Where, questions: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
    """Connect, ask these, and go. Raises Unavailable, Denied, BusError."""

    async def once() -> T:
        async with client(where) as asking:
            return await questions(asking)

    try:
        return asyncio.run(once())
    except BaseExceptionGroup as group:
        cause = next((each for each in _leaves(group) if isinstance(each, YellowbusError)), None)
        raise cause or Unavailable("the connection was lost meanwhile. Ask again") from None


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for each in group.exceptions:
        found += _leaves(each) if isinstance(each, BaseExceptionGroup) else [each]
    return found
