"""What the stand-in answers. `/api` is for the hub, which has a token; `/teach` for teachers, who sit at it.

PUT, PATCH, GET, DELETE /api/<table>/<id>      one record, as JSON
POST /api/<table>/batch                        {"records": [...]}, each with its id and op: update or delete
POST, DELETE /teach/<table>/<id>               what a teacher edits, as a form or JSON, or deletes
GET /teach/<table>                             the ids there
"""

import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from .book import TABLES, Body, Book
from .postman import Postman

STATES: Final = ("active", "inactive", "completed", "withdrawn")
BODY_BYTES_MAX: Final = 16 << 20

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Wrong(Exception):
    """What is asked cannot be done, with the status that says so. The text names fields, no value."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Desk:
    """All requests, one after the other: each is on disk when it is answered."""

    def __init__(self, book: Book, postman: Postman, token: str) -> None:
        self._book = book
        self._postman = postman
        self._authorization = f"Bearer {token}".encode()

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._at_the_door], client_max_size=BODY_BYTES_MAX)
        app.router.add_get("/api/health", self._well)
        app.router.add_post("/api/{table}/batch", self._batch)
        app.router.add_get("/api/{table}/{id}", self._look)
        for method in ("PUT", "PATCH", "DELETE"):
            app.router.add_route(method, "/api/{table}/{id}", self._told)
        app.router.add_get("/teach/{table}", self._list)
        app.router.add_post("/teach/{table}/{id}", self._taught)
        app.router.add_delete("/teach/{table}/{id}", self._crossed_out)
        return app

    @web.middleware
    async def _at_the_door(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode()
        if request.path.startswith("/api/") and not hmac.compare_digest(given, self._authorization):
            return web.json_response({"error": "who are you?"}, status=401)
        if request.match_info.get("table", TABLES[0]) not in TABLES:
            return web.json_response({"error": f"no such table (expected: {', '.join(TABLES)})"}, status=404)
        try:
            return await handler(request)
        except Wrong as wrong:
            return web.json_response({"error": str(wrong)}, status=wrong.status)

    # -- the hub's

    async def _well(self, request: web.Request) -> web.Response:
        return web.json_response({})

    async def _look(self, request: web.Request) -> web.Response:
        found = self._book.record(request.match_info["table"], request.match_info["id"])
        if found is None:
            raise Wrong(404, "no such record")
        return web.json_response(found)

    async def _told(self, request: web.Request) -> web.Response:
        table, id_ = request.match_info["table"], request.match_info["id"]
        op = {"PUT": "replace", "PATCH": "change", "DELETE": "delete"}[request.method]
        body = {} if op == "delete" else {**_sound(table, await _json(request)), "id": id_}
        with self._book.transaction():
            was_there = self._book.told(op, table, id_, body)
        if op != "replace" and not was_there:
            raise Wrong(404, "no such record")
        return web.json_response({"id": id_})

    async def _batch(self, request: web.Request) -> web.Response:
        table, says = request.match_info["table"], await _json(request)
        records = says.get("records")
        if not isinstance(records, list):
            raise Wrong(400, "records: not a list")
        with self._book.transaction():
            results = [self._one_of(table, entry) for entry in records]
        return web.json_response({"results": results})

    def _one_of(self, table: str, entry: Any) -> Body:
        try:
            if not isinstance(entry, dict) or not isinstance(id_ := entry.get("id"), str):
                raise Wrong(422, "id: missing, or not text")
            body = {name: value for name, value in entry.items() if name != "op"}
            if entry.get("op") == "delete":
                return {"status": 200 if self._book.told("delete", table, id_, {}) else 404}
            self._book.told("replace", table, id_, _sound(table, body))
        except Wrong as wrong:
            return {"status": wrong.status, "error": str(wrong)}
        return {"status": 200, "id": id_}

    # -- teachers'

    async def _list(self, request: web.Request) -> web.Response:
        return web.Response(text="".join(f"{id_}\n" for id_ in self._book.ids(request.match_info["table"])))

    async def _taught(self, request: web.Request) -> web.Response:
        table, id_ = request.match_info["table"], request.match_info["id"]
        is_form = request.content_type == "application/x-www-form-urlencoded"
        says = dict(await request.post()) if is_form else await _json(request)
        edits = {name: value for name, value in _sound(table, says).items() if name != "id"}
        with self._book.transaction():
            if self._book.record(table, id_) is None:
                raise Wrong(404, "no such record")
            news = self._book.taught(table, id_, edits)
        self._postman.wake()
        return web.Response(text="saved\n" if news else "nothing new\n")

    async def _crossed_out(self, request: web.Request) -> web.Response:
        with self._book.transaction():
            if not self._book.crossed_out(request.match_info["table"], request.match_info["id"]):
                raise Wrong(404, "no such record")
        self._postman.wake()
        return web.Response(text="deleted\n")


async def _json(request: web.Request) -> Body:
    try:
        says = json.loads(await request.text())
    except ValueError:
        says = None
    if not isinstance(says, dict):
        raise Wrong(400, "not a JSON object")
    return says


def _sound(table: str, body: Body) -> Body:
    """Raises Wrong for what the LMS cannot have."""
    if table == "enrollments" and body.get("status", STATES[0]) not in STATES:
        raise Wrong(422, f"status: unknown (expected one of: {', '.join(STATES)})")
    return body
