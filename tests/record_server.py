"""A real HTTP server that keeps JSON records, as many systems do; and faults that a test puts into it.

Below a tenant of its own a test finds: `/<table>/<id>` (GET with ETag, PUT, PATCH, DELETE, If-Match),
`/<table>` (POST: the server makes the id; GET ?external_id=; GET: a page), `/<table>/batch`, `/health`,
`/token`.
"""

import asyncio
import base64
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote_plus

from aiohttp import web

TOKEN = "the-district-token"
CLIENT = ("yellowbus", "the client's: secret")

Json = dict[str, Any]
Go = Callable[[], Awaitable[web.Response]]
Fault = Callable[[web.BaseRequest, Go], Awaitable[web.Response]]


class Asked(NamedTuple):
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


class Tenant:
    """What one test has there."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Json]] = {}
        self.etags: dict[str, int] = {}
        self.asked: list[Asked] = []
        self.tokens = {TOKEN}
        self.token_lasts_s: object = 3600
        self.results = True
        self.page_size = 2
        self.own_ids = 0
        self.at_once_max = 0
        self._at_once = 0
        self._faults: list[tuple[str, str, Fault]] = []

    def table(self, name: str = "students") -> dict[str, Json]:
        return self.tables.setdefault(name, {})

    def spoil(self, method: str, fault: Fault, path: str = "") -> None:
        """Spoil the next request of a method to a path that holds a word."""
        self._faults.append((method, path, fault))

    @property
    def writes(self) -> list[str]:
        return [f"{each.method} {each.path}" for each in self.asked if each.method != "GET"]

    async def answer(self, request: web.BaseRequest, path: str) -> web.Response:
        text = (await request.content.read()).decode()
        headers = {name.lower(): value for name, value in request.headers.items()}
        form = headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        body = text if form else json.loads(text) if text else None
        self.asked.append(Asked(request.method, path, headers, body))
        self._at_once += 1
        self.at_once_max = max(self.at_once_max, self._at_once)

        async def go() -> web.Response:
            await asyncio.sleep(0)
            return self._done(request, path, headers, body)

        try:
            for n, (method, part, fault) in enumerate(self._faults):
                if method == request.method and part in path:
                    del self._faults[n]
                    return await fault(request, go)
            return await go()
        finally:
            self._at_once -= 1

    def _done(self, request: web.BaseRequest, path: str, headers: dict[str, str], body: Any) -> web.Response:
        if path == "/token":
            return self._token(headers, body)
        if headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return says(401, {"error": "who are you?"})
        if path == "/health":
            return says(200, {})
        _, table, *rest = path.split("/")
        if rest == ["batch"]:
            return self._batch(self.table(table), body)
        if rest:
            return self._record(request.method, self.table(table), path, rest[0], headers, body)
        if request.method == "POST":
            return self._made(self.table(table), body)
        if "external_id" not in request.query:
            return self._page(request, [*self.table(table).values()])
        wanted = request.query["external_id"]
        return says(200, {"data": [r for r in self.table(table).values() if r.get("external_id") == wanted]})

    def _page(self, request: web.BaseRequest, records: list[Json]) -> web.Response:
        """By page (from 1 on), offset or cursor; the next one is said as a cursor and as a link."""
        asked, size = request.query, self.page_size
        start = int(asked.get("offset") or asked.get("cursor") or 0) or (int(asked.get("page", 1)) - 1) * size
        end = start + size
        said: Json = {"data": records[start:end], "total": len(records), "next": None}
        if end >= len(records):
            return says(200, said)
        said["next"] = str(end)
        return says(200, said, Link=f'<{request.path}?cursor={end}>; rel="next"')

    def _record(
        self, method: str, table: dict[str, Json], path: str, id_: str, headers: dict[str, str], body: Any
    ) -> web.Response:
        if "if-match" in headers and headers["if-match"] != f'"{self.etags.get(path, 0)}"':
            return says(412, {})
        if method != "PUT" and id_ not in table:
            return says(404, {"error": "no such record"})
        if method == "GET":
            return says(200, table[id_], ETag=f'"{self.etags.get(path, 0)}"')
        self.etags[path] = self.etags.get(path, 0) + 1
        if method == "DELETE":
            del table[id_]
            return web.Response(status=204)
        record = {**(table[id_] if method == "PATCH" else {}), **body}
        if wrong := invalid(record):
            return wrong
        table[id_] = record
        return says(200, {"data": record})

    def _made(self, table: dict[str, Json], body: Json) -> web.Response:
        if wrong := invalid(body):
            return wrong
        if any(record.get("external_id") == body.get("external_id") for record in table.values()):
            return says(409, {"error": "external_id is taken"})
        self.own_ids += 1
        id_ = f"own {self.own_ids}"
        table[id_] = {**body, "id": id_}
        return says(201, {"data": table[id_]})

    def _batch(self, table: dict[str, Json], body: Json) -> web.Response:
        results = []
        for record in body["records"]:
            op = record.pop("op")
            wrong = None if op == "delete" else invalid({**table.get(record["id"], {}), **record})
            if wrong is not None:
                results.append({"status": 422, "error": f"name: {record.get('name')}"})
            elif op == "delete":
                results.append({"status": 200 if table.pop(record["id"], None) else 404})
            else:
                table[record["id"]] = {**table.get(record["id"], {}), **record}
                results.append({"status": 200, "id": f"b{record['id']}"})
        if self.results:
            return says(200, {"results": results})
        return says(422 if any(each["status"] == 422 for each in results) else 200, {})

    def _token(self, headers: dict[str, str], body: str) -> web.Response:
        form = {name: values[0] for name, values in parse_qs(body).items()}
        pair: tuple[str | None, ...] = (form.get("client_id"), form.get("client_secret"))
        if headers.get("authorization", "").startswith("Basic "):
            text = base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode()
            pair = tuple(unquote_plus(part) for part in text.split(":", 1))
        if form.get("grant_type") != "client_credentials" or pair != CLIENT:
            return says(401, {"error": "invalid_client"})
        token = f"token {len([each for each in self.asked if each.path == '/token'])}"
        self.tokens = {token}
        return says(200, {"access_token": token, "token_type": "bearer", "expires_in": self.token_lasts_s})


class RecordServer:
    """Tenants by the first part of a path."""

    def __init__(self) -> None:
        self.url = ""
        self._tenants: dict[str, Tenant] = {}

    def tenant(self, name: str) -> Tenant:
        return self._tenants.setdefault(name, Tenant())

    async def answer(self, request: web.BaseRequest) -> web.Response:
        _, tenant, *rest = request.path.split("/")
        return await self.tenant(tenant).answer(request, "/" + "/".join(rest))


@contextmanager
def record_server(port: int = 0) -> Iterator[RecordServer]:
    """One in a thread of its own; 0: at any port."""
    server, loop = RecordServer(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> web.ServerRunner:
        runner = web.ServerRunner(web.Server(server.answer, access_log=None))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    try:
        runner = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
        yield server
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def says(status: int, body: Json, **headers: str) -> web.Response:
    return web.Response(
        status=status, text=json.dumps(body), content_type="application/json", headers=headers
    )


def invalid(record: Json) -> web.Response | None:
    """A record needs a name, and its grade is a number."""
    if not isinstance(record.get("name"), str) or isinstance(record.get("grade"), str):
        return says(422, {"error": f"name or grade of {record.get('name')} {record.get('grade')} is wrong"})
    return None


# -- faults


def answering(status: int, body: str = "", **headers: str) -> Fault:
    """Answer so, and do nothing."""

    async def fault(request: web.BaseRequest, go: Go) -> web.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, text=body, headers=given)

    return fault


async def cut_before(request: web.BaseRequest, go: Go) -> web.Response:
    """The connection breaks before anything is done."""
    return _cut(request)


async def cut_after(request: web.BaseRequest, go: Go) -> web.Response:
    """It is done, and the connection breaks."""
    await go()
    return _cut(request)


def _cut(request: web.BaseRequest) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def first(action: Callable[[], object]) -> Fault:
    """Somebody else does something there just before."""

    async def fault(request: web.BaseRequest, go: Go) -> web.Response:
        action()
        return await go()

    return fault
