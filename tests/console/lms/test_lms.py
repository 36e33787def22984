"""The stand-in LMS by its door: told over HTTP by who has the token, its webhooks read by a small hub."""

import asyncio
import hashlib
import hmac
import json
import sys
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from running import until
from standin_lms import SECRET, TOKEN, StandIn, Told
from webhook_sender import free_port

HUB = {"Authorization": f"Bearer {TOKEN}"}


class Hub:
    """Takes webhooks; `statuses` are what it answers first, then it takes all."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.asked: list[tuple[int, dict[str, Any]]] = []

    async def answer(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        signed = request.headers["X-Yellowbus-Timestamp"].encode() + b"." + body
        signature = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        assert request.headers["X-Yellowbus-Signature"] == f"sha256={signature}"
        status = self.statuses.pop(0) if self.statuses else 202
        self.asked.append((status, json.loads(body)))
        return web.Response(status=status, headers={"Retry-After": "0"} if status == 503 else {})

    @property
    def taken(self) -> list[dict[str, Any]]:
        return [event for status, event in self.asked if status == 202]


async def listen(hub: Hub, port: int) -> web.ServerRunner:
    runner = web.ServerRunner(web.Server(hub.answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
async def port(hub: Hub) -> AsyncIterator[int]:
    port = free_port()
    runner = await listen(hub, port)
    yield port
    await runner.cleanup()


@pytest.fixture
async def lms(tmp_path: Path, port: int) -> AsyncIterator[StandIn]:
    with StandIn(tmp_path / "lms.sqlite", free_port(), f"http://127.0.0.1:{port}/lms") as lms:
        await lms.start()
        yield lms


async def ask(
    lms: StandIn, method: str, path: str, body: Any = None, headers: dict[str, str] = HUB
) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, lms.url + path, json=body, headers=headers) as answer,
    ):
        return answer.status, await answer.json()


async def test_a_record_is_replaced_changed_and_deleted_and_all_of_it_is_in_its_log(lms: StandIn) -> None:
    ada = {"first_name": "Ada", "role": "student", "active": True}

    assert (await ask(lms, "PUT", "/api/users/7", ada))[0] == 200
    assert (await ask(lms, "PATCH", "/api/users/7", {"active": False}))[0] == 200
    assert (await ask(lms, "GET", "/api/users/7"))[1] == {**ada, "id": "7", "active": False}
    assert (await ask(lms, "PUT", "/api/users/7", {"first_name": "Ida"}))[0] == 200
    assert lms.record("users", "7") == {"id": "7", "first_name": "Ida"}
    assert [(await ask(lms, "DELETE", "/api/users/7"))[0] for _ in range(2)] == [200, 404]
    assert (await ask(lms, "PATCH", "/api/users/7", {}))[0] == 404
    assert lms.records("users") == {}
    assert [each.op for each in lms.told("users", "7")] == [
        "replace", "change", "replace", "delete", "delete", "change",
    ]  # fmt: skip
    assert lms.answers() == []  # what the hub says is no teacher's news


async def test_one_bad_record_of_a_batch_leaves_the_others_saved(lms: StandIn) -> None:
    records = [
        {"id": "1", "op": "update", "user": "7", "status": "active"},
        {"id": "2", "op": "update", "user": "7", "status": "gone fishing"},
        {"op": "update"},
        {"id": "3", "op": "delete"},
    ]

    status, says = await ask(lms, "POST", "/api/enrollments/batch", {"records": records})

    assert status == 200
    assert [each["status"] for each in says["results"]] == [200, 422, 422, 404]
    assert "gone fishing" not in json.dumps(says)
    assert lms.records("enrollments") == {"1": {"id": "1", "user": "7", "status": "active"}}
    assert lms.told("enrollments") == [
        Told("replace", "enrollments", "1", {"id": "1", "user": "7", "status": "active"}),
        Told("delete", "enrollments", "3", {}),
    ]


async def test_who_has_no_token_and_what_is_no_record_is_refused(lms: StandIn) -> None:
    assert (await ask(lms, "GET", "/api/health"))[0] == 200
    assert (await ask(lms, "GET", "/api/health", headers={}))[0] == 401
    assert (await ask(lms, "PUT", "/api/users/7", {}, headers={"Authorization": "Bearer x"}))[0] == 401
    assert (await ask(lms, "PUT", "/api/marks/7", {}))[0] == 404
    assert (await ask(lms, "PUT", "/api/users/7", ["a list"]))[0] == 400
    assert (await ask(lms, "PUT", "/api/enrollments/7", {"status": "x"}))[0] == 422
    assert lms.told() == []


async def test_what_a_teacher_edits_goes_to_the_hub_once_and_only_what_is_new(lms: StandIn, hub: Hub) -> None:
    await ask(lms, "PUT", "/api/users/7", {"first_name": "Ada", "role": "student"})

    assert await lms.teach("users", "7", first_name="Ada", display_name="Addie") == "saved"
    assert await lms.teach("users", "7", display_name="Addie") == "nothing new"
    await until(lambda: lms.answers() == [202])

    (event,) = hub.taken
    assert len(event.pop("id")) == 32
    assert datetime.fromisoformat(event.pop("occurred_at")).tzinfo is not None
    data = {"id": "7", "role": "student", "display_name": "Addie"}
    assert event == {"table": "users", "op": "update", "data": data}
    assert lms.record("users", "7") == {**data, "first_name": "Ada"}


async def test_what_a_teacher_deletes_goes_to_the_hub(lms: StandIn, hub: Hub) -> None:
    await ask(lms, "PUT", "/api/enrollments/e1", {"status": "active"})

    async with aiohttp.ClientSession() as session:
        for expected in (200, 404):
            async with session.delete(f"{lms.url}/teach/enrollments/e1") as answer:
                assert answer.status == expected
        async with session.post(f"{lms.url}/teach/enrollments/e1", data={"status": "active"}) as answer:
            assert answer.status == 404
    await until(lambda: lms.answers() == [202])

    assert [(event["op"], event["data"]) for event in hub.taken] == [("delete", {"id": "e1"})]
    assert lms.records("enrollments") == {}


async def test_a_webhook_that_failed_is_sent_again_in_order_under_its_id(lms: StandIn, hub: Hub) -> None:
    await ask(lms, "PUT", "/api/users/7", {"role": "student"})
    hub.statuses = [503, 500, 429]

    for name in ("A", "B"):
        await lms.teach("users", "7", display_name=name)
    await until(lambda: lms.answers() == [202, 202])

    assert [event["data"]["display_name"] for _, event in hub.asked] == ["A", "A", "A", "A", "B"]
    assert len({event["id"] for _, event in hub.asked}) == 2


async def test_what_the_hub_will_never_take_does_not_hold_up_the_rest(lms: StandIn, hub: Hub) -> None:
    await ask(lms, "PUT", "/api/users/7", {"role": "student"})
    hub.statuses = [422]

    for name in ("A", "B"):
        await lms.teach("users", "7", display_name=name)
    await until(lambda: lms.answers() == [422, 202])

    assert "422: the hub will not take it" in lms.file.with_suffix(".log").read_text()


async def test_killed_with_a_webhook_in_hand_it_says_it_after_its_next_start(tmp_path: Path) -> None:
    hub, port = Hub(), free_port()  # nobody listens there yet
    with StandIn(tmp_path / "lms.sqlite", free_port(), f"http://127.0.0.1:{port}/lms") as lms:
        await lms.start()
        await ask(lms, "PUT", "/api/users/7", {"role": "student"})
        await lms.teach("users", "7", display_name="Addie")
        lms.kill()
        runner = await listen(hub, port)
        await asyncio.sleep(0)
        assert hub.asked == []

        await lms.start()
        await until(lambda: lms.answers() == [202])

        assert [event["data"]["display_name"] for event in hub.taken] == ["Addie"]
        assert lms.stop() == 0
        await runner.cleanup()


async def test_a_port_or_a_file_that_cannot_be_had_is_said_in_one_line(tmp_path: Path, lms: StandIn) -> None:
    for file, port, said in (
        (tmp_path / "other.sqlite", int(lms.url.rpartition(":")[2]), "address already in use"),
        (tmp_path / "nowhere" / "lms.sqlite", free_port(), "unable to open database file"),
    ):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "console.cli", "standin-lms", "--port", str(port), str(file),
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, stderr = await process.communicate()

        assert process.returncode == 1
        assert said in stderr.decode() and len(stderr.splitlines()) == 1
