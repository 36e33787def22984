"""A system told over HTTP, as a process that can be killed: `python -m crash.records PORT FILE`.

users            POST makes one under an id of the system's own; nobody sees to it that there is only one. GET
                 ?external_id=, PATCH and DELETE by its own id
classes          PUT, GET, DELETE /<id>, with ETag and If-Match
enrollments      POST /batch

It does one thing after the other, in the order in which requests arrive, and all of it is on disk when it
answers.
"""

import json
import sys
from pathlib import Path

from aiohttp import web
from crash.book import Applied, Book, Json

TOKEN = "a token of the records"
VERSION = "version"
OURS = "external_id"


class Records:
    """All tables in memory, and in the book."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._tables: dict[str, dict[str, Json]] = {"users": {}, "classes": {}, "enrollments": {}}
        self._users: dict[str, list[str]] = {}  # own ids by ours
        self._etags: dict[str, int] = {}
        self._made = 0
        for table, id_, body in book.held():
            self._tables[table][id_] = body
            if table == "users":
                self._users.setdefault(body[OURS], []).append(id_)
        self._made = sum(each.op == "create" for each in book.applied())

    async def answer(self, request: web.BaseRequest) -> web.Response:
        text = await request.content.read()  # nothing below waits: requests do not get in each other's way
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"error": "who are you?"}, status=401)
        body = json.loads(text) if text else {}
        _, table, *rest = request.path.split("/")
        if table == "health":
            return web.json_response({})
        if request.method == "GET":
            return self._look(table, rest, request.query.get(OURS, ""))
        self._book.begin()
        try:
            if rest == ["batch"]:
                return self._batch(table, body["records"])
            version = int(request.headers["X-Yellowbus-Version"])
            if not rest:
                return self._make(body, version)
            return self._write(table, rest[0], request, body, version)
        finally:
            self._book.commit()

    def _look(self, table: str, rest: list[str], ours: str) -> web.Response:
        if not rest:
            return web.json_response(
                {"data": [self._tables[table][id_] for id_ in self._users.get(ours, ())]}
            )
        if rest[0] not in self._tables[table]:
            return web.json_response({"error": "no such record"}, status=404)
        return web.json_response(self._tables[table][rest[0]], headers={"ETag": self._etag(rest[0])})

    def _etag(self, id_: str) -> str:
        return f'"{self._etags.get(id_, 0)}"'

    def _make(self, body: Json, version: int) -> web.Response:
        self._made += 1
        id_ = f"own-{self._made}"
        self._users.setdefault(body[OURS], []).append(id_)
        self._keep("users", id_, {**body, "id": id_}, body[OURS], "create", version)
        return web.json_response({"data": {"id": id_}}, status=201)

    def _write(
        self, table: str, id_: str, request: web.BaseRequest, body: Json, version: int
    ) -> web.Response:
        before = self._tables[table].get(id_)
        wanted = request.headers.get("If-Match")
        if wanted is not None and (before is None or wanted != self._etag(id_)):
            return web.json_response({}, status=412)
        if before is None and request.method != "PUT":
            return web.json_response({"error": "no such record"}, status=404)
        ours = before[OURS] if before and table == "users" else id_
        if request.method == "DELETE":
            if table == "users":
                self._users[ours].remove(id_)
            self._keep(table, id_, None, ours, "delete", version)
        else:
            after = body if request.method == "PUT" else {**(before or {}), **body}
            self._keep(table, id_, after, ours, "update" if before else "create", version)
        return web.json_response({})

    def _batch(self, table: str, records: list[Json]) -> web.Response:
        results = []
        for record in records:
            op, id_, there = record.pop("op"), record["id"], record["id"] in self._tables[table]
            if op == "delete" and not there:
                results.append({"status": 404})
                continue
            said = op if op == "delete" else "update" if there else "create"
            self._keep(table, id_, None if op == "delete" else record, id_, said, record.get(VERSION))
            results.append({"status": 200})
        return web.json_response({"results": results})

    def _keep(self, table: str, id_: str, body: Json | None, ours: str, op: str, version: int | None) -> None:
        if body is None:
            self._tables[table].pop(id_)
        else:
            self._tables[table][id_] = body
        self._etags[id_] = self._etags.get(id_, 0) + 1
        self._book.save(id_, body, Applied(table, ours, op, version))


def main() -> None:
    port, file = int(sys.argv[1]), Path(sys.argv[2])
    with Book(file) as book:
        web.run_app(_served(Records(book)), host="127.0.0.1", port=port, print=None, access_log=None)


async def _served(records: Records) -> web.Application:
    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/{path:.*}", records.answer)
    return app


if __name__ == "__main__":
    main()
