"""Commands and queries: NATS micro services on `cmd.<operator>.<what>`, and how to ask them.

The server lets an operator publish on its own name only, so the name in the subject is who it was.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import nats.micro
from nats.aio.client import Client
from nats.micro.request import ERROR_CODE_HEADER, ERROR_HEADER, Request
from nats.micro.service import EndpointConfig, Service, ServiceConfig

from bus import subjects
from bus.connection import Connection
from bus.errors import BusError, Denied, Unavailable, YellowbusError

log = logging.getLogger(__name__)

AT_ONCE_MAX: Final = 64
"""Requests worked on at the same time; more are refused, so that nobody waits without knowing."""

Answer = Callable[[str, bytes], Awaitable[bytes]]
"""`async (operator, request) -> reply`. A YellowbusError is answered with its text."""

_TOKEN = re.compile(r"[^.*>\s]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One thing that can be asked. `what` may have several tokens: `replay.start`."""

    what: str
    answer: Answer
    description: str
    metadata: Mapping[str, str] = field(default_factory=dict)


class Services:
    """Answers commands as one micro service, shown by `nats micro ls`. Made by `serve`."""

    def __init__(
        self, connection: Connection, name: str, version: str, description: str, commands: Sequence[Command]
    ) -> None:
        self._connection = connection
        self._config = ServiceConfig(
            name=name, version=version, description=description, metadata={"of": "yellowbus"}
        )
        self._commands = tuple(commands)
        self._service: Service | None = None
        self._heard = False
        self._free = AT_ONCE_MAX

    @property
    def ready(self) -> bool:
        """It is registered on the connection of now, and the server knows."""
        return self._heard

    async def begin(self) -> None:
        """Register on the connection of now: who asks on return is answered. Raises Unavailable."""
        self._connection.check_up()
        client = self._connection.client
        try:
            self._service = await self._registered(client)
        except (nats.errors.Error, OSError) as error:
            raise Unavailable(f"{self._config.name}: not registered: {error}", runbook="bus-down") from error
        # What was written before an answered request is known. nats-py's own flush overtakes what it wrote.
        with suppress(Denied):
            await self._connection.request("$JS.API.INFO")
        self._heard = client is self._connection.client

    async def _registered(self, client: Client) -> Service:
        service = await nats.micro.add_service(client, self._config)
        for command in self._commands:
            await service.add_endpoint(
                EndpointConfig(
                    name=command.what.replace(".", "-"),
                    subject=subjects.command("*", command.what),
                    handler=partial(self._take, command),
                    metadata={"description": command.description, **command.metadata},
                )
            )
        return service

    async def close(self) -> None:
        """Answer no more. Twice is fine."""
        self._connection.forget(self)
        service, self._service, self._heard = self._service, None, False
        if service is not None and self._connection.up:
            with suppress(Exception):
                await service.stop()

    def lost(self) -> None:
        self._service, self._heard = None, False

    def restored(self) -> None:
        self._connection.spawn(self.begin())

    def tick(self, now_s: float) -> None:
        pass

    async def _take(self, command: Command, request: Request) -> None:
        # One endpoint's requests come one after another: so work on each beside, or a long one holds up all.
        if self._free <= 0:
            await request.respond_error(
                "429", f"{AT_ONCE_MAX} requests are being worked on. Ask again in a moment"
            )
            return
        self._free -= 1
        self._connection.spawn(self._work(command, request))

    async def _work(self, command: Command, request: Request) -> None:
        try:
            operator = request.subject.split(".")[1]
            try:
                reply = await command.answer(operator, request.data)
            except YellowbusError as error:
                await request.respond_error("400", _one_line(str(error)))
            except Exception:
                # A bug in one answer must not stop the router; its text may hold values, so it stays here.
                log.exception("command raised", extra={"command": command.what})
                await request.respond_error(
                    "500", f"{command.what}: a bug in yellowbus; its log has the trace"
                )
            else:
                await request.respond(reply)
        except (nats.errors.Error, OSError) as error:
            log.info("reply not sent", extra={"command": command.what, "why": str(error)})
        finally:
            self._free += 1


async def serve(
    connection: Connection, name: str, version: str, description: str, commands: Sequence[Command]
) -> Services:
    """Answer these commands until `close`, also after a reconnect. `version` is a semantic version."""
    services = Services(connection, name, version, description, commands)
    await services.begin()
    connection.listen(services)
    return services


async def ask(
    connection: Connection, operator: str, what: str, body: bytes = b"", *, timeout_s: float = 5.0
) -> bytes:
    """Ask the router. Raises Unavailable (nobody answers), Denied, or BusError with the router's text."""
    if not _TOKEN.fullmatch(operator):
        raise Denied(
            f"operator {operator!r}: not a name (one word, without dots or blanks)", runbook="bus-denied"
        )
    subject = subjects.command(operator, what)
    try:
        msg = await connection.request(subject, body, timeout_s=timeout_s)
    except Unavailable as error:
        raise Unavailable(f"{what}: {error.message}", runbook=error.runbook) from error
    head = msg.headers or {}
    if head.get("Status") == "503":
        raise Unavailable(
            f"{what}: the router does not answer. Start it: yellowbus router", runbook="router-down"
        )
    if ERROR_CODE_HEADER in head:
        raise BusError(head.get(ERROR_HEADER, "") or f"{what}: refused ({head[ERROR_CODE_HEADER]})")
    return msg.data


def _one_line(text: str) -> str:
    return " ".join(text.split())
