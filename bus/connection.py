"""One connection to nats-server, with replies, a watchdog, and no way to wait for ever.

A connection in doubt is replaced by a new one, never repaired: whatever waits on it fails at once as
`Unavailable`, then listeners begin anew. So nothing that was written before a cut is sent after it, and the
states in which nats-py looks connected and is dead (jetstream.md 0.7, 1.2, 1.3) end here.
"""

import asyncio
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from bus.adapter import Sleep
from bus.errors import BusError, ConfigError, Denied, Unavailable
from bus.parse import Direct
from bus.replies import More, Replies
from bus.wire import Client, wire

log = logging.getLogger(__name__)

CONNECT_MAX_S: Final = 5.0
RECONNECT_WAIT_S: Final = 0.5
PING_EVERY_S: Final = 10
TICK_EVERY_S: Final = 0.5
WATCH_EVERY_S: Final = 5.0
WATCH_ANSWER_MAX_S: Final = 3.0
WATCH_MISSES_MAX: Final = 2
REQUEST_MAX_S: Final = 5.0

_USERINFO = re.compile(r"//[^/@,]*@")
_DENIED = re.compile(r'permissions violation for (publish|subscription) to "([^"]*)"')

Heard = Callable[[Msg], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the server is and who we are there. `credentials` is the path of a .creds file.

    With operators of several roles on one server, each has an inbox prefix of its own, so that none reads
    another's replies (jetstream.md 3.1).
    """

    url: str
    name: str = "yellowbus"
    user: str = ""
    password: str = ""
    token: str = ""
    credentials: str = ""
    inbox_prefix: str = "_INBOX"

    @property
    def shown(self) -> str:
        """The URL for people: without what may stand before an @."""
        return _USERINFO.sub("//", self.url)


class ApiError(BusError):
    """JetStream said no. `code` is its err_code (10014: no such consumer, 10059: no such stream)."""

    def __init__(self, what: str, code: int, description: str) -> None:
        super().__init__(f"$JS.API.{what}: {description} ({code})")
        self.code = code


class Listener(Protocol):
    """Whoever keeps something on the connection that has to be made again on a new one.

    All three are called from the event loop and must not block; use `Connection.spawn` for more.
    """

    def lost(self) -> None: ...
    def restored(self) -> None: ...
    def tick(self, now_s: float) -> None: ...


class Connection:
    """Made by `connect`. Everything on it raises Unavailable while the server does not answer."""

    def __init__(
        self, address: Address, group: asyncio.TaskGroup, sleep: Sleep, now_s: Callable[[], float]
    ) -> None:
        self.address = address
        self.alive_since_s: float | None = None
        """Since when it is up without a break (by the clock given), None while it is not."""
        self.answered_at_s: float | None = None
        """When the server last answered the watchdog."""
        self.payload_max_bytes = 1024 * 1024
        self._group = group
        self._sleep = sleep
        self._now_s = now_s
        self._client = Client()
        self._fallen = asyncio.Event()
        self._why = "not connected yet"
        self._listeners: list[Listener] = []
        self._replies = Replies()
        self._dialled_s = 0.0
        self._spawned: set[asyncio.Task[None]] = set()

    # What others do with it.

    @property
    def up(self) -> bool:
        return self.alive_since_s is not None

    @property
    def client(self) -> Client:
        """nats-py's client of now. Another one after the next break: do not keep it."""
        return self._client

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def forget(self, listener: Listener) -> None:
        with suppress(ValueError):
            self._listeners.remove(listener)

    def spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run something beside the caller, as long as the connection lives. Its bugs end the connection."""
        task = self._group.create_task(_expected(work))
        self._spawned.add(task)
        task.add_done_callback(self._spawned.discard)
        task.add_done_callback(lambda _: work.close())  # cancelled before it began
        return task

    async def subscribe(self, subject: str, heard: Heard, *, queue: str = "") -> Subscription:
        self.check_up()
        try:
            return await self._client.subscribe(subject, queue=queue, cb=heard)
        except NatsError as error:
            raise self._unavailable(str(error)) from error

    async def subscribe_direct(self, subject: str, heard: Direct) -> Subscription:
        """Hear messages as they are read from the socket: no queue, no task, headers as they came."""
        subscription = await self.subscribe(subject, _unheard)
        self._client.parser.direct[subscription._id] = heard
        return subscription

    async def unsubscribe(self, subscription: Subscription) -> None:
        """Hear no more there, not even what the server sent before it knows. Never raises."""
        client = subscription._conn  # perhaps an earlier one, whose ids say nothing on that of now
        client.parser.direct.pop(subscription._id, None)
        with suppress(NatsError):
            await subscription.unsubscribe()

    def new_inbox(self) -> str:
        return self._client.new_inbox()

    async def write(self, commands: bytes) -> None:
        """Send what `wire` made, one or many. Nothing is kept for a later connection."""
        self.check_up()
        client = self._client
        await client._send_command(commands)
        if client._flush_queue is not None and client._flush_queue.empty():
            await client._flush_pending()

    def expect(
        self, subjects: Sequence[str], *, timeout_s: float = REQUEST_MAX_S, more: More | None = None
    ) -> tuple[str, asyncio.Future[Msg]]:
        """A reply subject, and the future of the answer that comes there.

        It always resolves: by the answer, by Denied, or by Unavailable at the deadline or when the connection
        is lost. `more` is asked about each message that comes: True means that the answer is yet to come.
        """
        self.check_up()
        return self._replies.expect(subjects, self._now_s() + timeout_s, more)

    async def request(
        self, subject: str, body: bytes = b"", *, headers: str = "", timeout_s: float = REQUEST_MAX_S
    ) -> Msg:
        """Ask and wait for one answer. Raises Unavailable or Denied; "nobody listens" has status 503."""
        reply, answer = self.expect((subject,), timeout_s=timeout_s)
        await self.write(wire(subject, reply, headers, body))
        return await answer

    async def api(self, what: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        """One request to JetStream's own interface, raw JSON both ways. Raises ApiError."""
        asked = json.dumps(body).encode() if body is not None else b""
        msg = await self.request(f"$JS.API.{what}", asked)
        if msg.headers and msg.headers.get("Status") == "503":
            raise self._unavailable("JetStream does not answer. Is it switched on for this account?")
        reply: dict[str, Any] = json.loads(msg.data)
        if error := reply.get("error"):
            if error.get("err_code") == 10008:
                raise self._unavailable("JetStream is not ready")
            raise ApiError(what, error.get("err_code", 0), error.get("description", ""))
        return reply

    def check_up(self) -> None:
        """Raises Unavailable while the server does not answer."""
        if self.alive_since_s is None:
            raise self._unavailable(self._why)

    # How it stays alive.

    async def dial(self) -> None:
        """Connect anew. Raises Unavailable, or ConfigError for an address that can never work."""
        address, client = self.address, Client()
        try:
            async with asyncio.timeout(CONNECT_MAX_S):
                await client.connect(
                    address.url.split(","),
                    name=address.name,
                    user=address.user or None,
                    password=address.password or None,
                    token=address.token or None,
                    user_credentials=address.credentials or None,
                    inbox_prefix=address.inbox_prefix,
                    error_cb=self._heard,
                    # Each try is a whole new client, see `_keep`.
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    ping_interval=PING_EVERY_S,
                    pending_size=0,  # A full one would wait for a flusher that may have died.
                )
                inbox = client.new_inbox() + "."
                await client.subscribe(inbox + "*", cb=self._replies.hear)
        except ImportError as error:
            raise ConfigError(
                f"{address.credentials}: .creds files need the package nkeys ({error})"
            ) from error
        except (NatsError, OSError, TimeoutError) as error:
            await _drop(client)
            raise self._unavailable(str(error) or "no answer in time") from error
        assert client._reading_task is not None
        self._client, self._replies.inbox, self.payload_max_bytes = client, inbox, client.max_payload
        self.alive_since_s = self.answered_at_s = self._dialled_s = self._now_s()
        # It ends when the socket does, at a ping without pong, and when anything raised in it.
        client._reading_task.add_done_callback(partial(self._ended, client))

    def _ended(self, client: Client, reading: "asyncio.Task[None]") -> None:
        if not reading.cancelled():
            reading.exception()
        if client is self._client:
            self.fall("the connection was cut")

    def fall(self, why: str) -> None:
        """Give this connection up: fail all that waits on it, and begin a new one."""
        if self.alive_since_s is None:
            return
        self.alive_since_s, self._why = None, why
        self._replies.fail_all(self._unavailable(why))
        for listener in self._listeners:
            listener.lost()
        self._fallen.set()

    async def keep(self) -> None:
        """Replace a fallen connection, for ever."""
        while True:
            await self._fallen.wait()
            self._fallen.clear()
            log.warning("connection to nats-server lost", extra={"why": self._why})
            await _drop(self._client)
            if self._now_s() - self._dialled_s < RECONNECT_WAIT_S:
                await self._sleep(RECONNECT_WAIT_S)  # Something ends each one at once: no hot loop.
            while not self.up:
                try:
                    await self.dial()
                except Unavailable:
                    await self._sleep(RECONNECT_WAIT_S)
            log.info("connection to nats-server restored")
            for listener in self._listeners:
                listener.restored()

    async def watch(self) -> None:
        """Ask the server every 5 s whether JetStream is there; two silences end the connection."""
        misses = 0
        while True:
            await self._sleep(WATCH_EVERY_S)
            if not self.up:
                misses = 0
                continue
            try:
                await self.request("$JS.API.INFO", timeout_s=WATCH_ANSWER_MAX_S)
            except Denied:
                pass  # an answer too
            except Unavailable:
                misses += 1
                if misses >= WATCH_MISSES_MAX:
                    self.fall("the server did not answer the watchdog twice")
                continue
            misses, self.answered_at_s = 0, self._now_s()

    async def beat(self) -> None:
        """One timer for all deadlines."""
        while True:
            await self._sleep(TICK_EVERY_S)
            now_s = self._now_s()
            self._replies.fail_late(now_s, self._unavailable("no answer in time"))
            for listener in list(self._listeners):
                listener.tick(now_s)

    async def close(self) -> None:
        """Let go of the server and of all that runs beside."""
        self.fall("closed")
        for task in self._spawned:
            task.cancel()
        await _drop(self._client)

    # What nats-py tells us. An exception in it would end its read loop.

    async def _heard(self, error: Exception) -> None:
        denied = _DENIED.search(str(error))
        if denied is None:
            log.info("nats-server", extra={"error": str(error)})
            return
        what, subject = denied.groups()
        log.warning("nats-server denied", extra={"what": what, "subject": subject})
        self._replies.fail_denied(subject, self._denied)

    def _denied(self, subject: str) -> Denied:
        who = self.address.user or "this user"
        text = f"{self.address.shown}: {who} may not publish to {subject}. Allow it in nats.conf"
        return Denied(text, runbook="bus-denied")

    def _unavailable(self, why: str) -> Unavailable:
        return Unavailable(f"nats-server at {self.address.shown}: {why}", runbook="bus-down")


async def _drop(client: Client) -> None:
    with suppress(Exception):
        async with asyncio.timeout(2):
            await client.close()
    with suppress(Exception):
        if client._transport is not None:
            client._transport.close()  # type: ignore[no-untyped-call]


async def _expected(work: Coroutine[object, object, None]) -> None:
    try:
        await work
    except Unavailable as error:
        log.info("gave up until the connection is back", extra={"error": str(error)})


@asynccontextmanager
async def connect(
    address: Address, *, sleep: Sleep = asyncio.sleep, now_s: Callable[[], float] = time.monotonic
) -> AsyncIterator[Connection]:
    """Connect, and stay connected until the block ends.

    Raises Unavailable if the server does not answer now; later on it is waited for.
    """
    ending: BaseException | None = None
    async with asyncio.TaskGroup() as group:
        connection = Connection(address, group, sleep, now_s)
        keepers: list[asyncio.Task[None]] = []
        try:
            await connection.dial()
            keepers = [
                group.create_task(work()) for work in (connection.keep, connection.watch, connection.beat)
            ]
            yield connection
        except BaseException as error:  # Not through the group: it would come out wrapped.
            ending = error
        finally:
            for keeper in keepers:
                keeper.cancel()
            await connection.close()
    if ending is not None:
        raise ending


async def _unheard(message: Msg) -> None:
    """What a subscription that is heard directly never calls."""
