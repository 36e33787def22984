"""A request is believed if it is signed, of now, and within the limits; it is thanked when it was taken."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator

import aiohttp
import pytest
from webhook_sender import NOW_S, SECRET, Sender, Taken

from adapters.webhook.signature import SIGNATURE, TIMESTAMP, sign
from adapters.webhook.source import AT_ONCE_MAX
from bus.adapter import Said, Unsound
from bus.errors import StreamFull, Unavailable

EVENT = {"id": "a1", "table": "enrollments", "data": {"id": "7", "state": "active"}}


def fails(error: Exception) -> "asyncio.Future[None]":
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    failed.set_exception(error)
    return failed


async def test_what_is_signed_is_taken_and_counted(sender: Sender, taken: Taken) -> None:
    status, says, _ = await sender.post({"events": [EVENT, EVENT]})

    assert (status, says) == (202, {"taken": 2})
    assert taken == [Said("a1", "enrollments", {"id": "7", "state": "active"})] * 2


async def test_a_request_may_be_posted_again(sender: Sender, taken: Taken) -> None:
    assert [(await sender.post(EVENT))[0] for _ in range(2)] == [202, 202]
    assert taken[0] == taken[1]


async def test_it_is_thanked_only_when_it_was_taken(sender: Sender, taken: Taken) -> None:
    go = asyncio.Event()
    taken.then = go.wait  # type: ignore[assignment]
    posting = asyncio.ensure_future(sender.post(EVENT))

    done, _ = await asyncio.wait([posting], timeout=0.1)
    go.set()

    assert not done
    assert (await posting)[0] == 202


def test_the_signature_is_that_of_the_format() -> None:
    digest = hmac.new(b"k", b"17.{}", hashlib.sha256).hexdigest()

    assert sign(b"k", "17", b"{}") == f"sha256={digest}"


@pytest.mark.parametrize(
    "headers",
    [
        {SIGNATURE: None},
        {SIGNATURE: ""},
        {SIGNATURE: "sha256="},
        {SIGNATURE: sign(b"another secret", str(NOW_S), b"{}")},
        {SIGNATURE: sign(SECRET.encode(), str(NOW_S), b"{} ")},
        {SIGNATURE: sign(SECRET.encode(), str(NOW_S), b"{}").removeprefix("sha256=")},
        {TIMESTAMP: None},
        {TIMESTAMP: "now"},
        {TIMESTAMP: "-5"},
        {TIMESTAMP: str(NOW_S + 1)},
        {TIMESTAMP: "9" * 500},
    ],
)
async def test_what_is_not_signed_is_refused(
    sender: Sender, taken: Taken, headers: dict[str, str | None]
) -> None:
    status, says, _ = await sender.post(b"{}", **headers)

    assert status == 401
    assert "Yellowbus" in str(says["error"])
    assert taken == []


@pytest.mark.parametrize(("off_s", "expected"), [(-300, 202), (300, 202), (-301, 401), (301, 401)])
async def test_what_is_not_of_now_is_refused(sender: Sender, taken: Taken, off_s: int, expected: int) -> None:
    body = b'{"table": "t", "data": {}}'
    timestamp = str(NOW_S + off_s)

    status, says, _ = await sender.post(
        body, **{TIMESTAMP: timestamp, SIGNATURE: sign(SECRET.encode(), timestamp, body)}
    )

    assert status == expected, says
    assert len(taken) == (expected == 202)


async def test_a_body_that_is_wrong_is_answered_by_event_and_field(sender: Sender, taken: Taken) -> None:
    status, says, _ = await sender.post({"events": [EVENT, {**EVENT, "op": "upsert"}]})

    assert (status, says["event"], says["field"]) == (422, 1, "op")
    assert taken == []


async def test_what_the_hub_cannot_map_is_answered_by_event_and_field(sender: Sender, taken: Taken) -> None:
    taken.then = lambda: fails(Unsound(2, "data.state", "not a date"))

    status, says, _ = await sender.post(EVENT)

    assert (status, says) == (422, {"error": "not a date", "event": 2, "field": "data.state"})


@pytest.mark.parametrize(
    ("error", "retry_after"),
    [(Unavailable("x"), "5"), (Unavailable("x", retry_after_s=17), "17"), (StreamFull("x"), "5")],
)
async def test_what_cannot_be_taken_now_may_be_said_again(
    sender: Sender, taken: Taken, error: Exception, retry_after: str
) -> None:
    taken.then = lambda: fails(error)
    status, _, headers = await sender.post(EVENT)

    taken.then = None
    again, _, _ = await sender.post(EVENT)

    assert (status, headers["Retry-After"], again) == (503, retry_after, 202)
    assert len(taken) == 1


async def test_a_large_body_is_refused_before_it_is_read(sender: Sender, taken: Taken) -> None:
    status, says, _ = await sender.post(b" " * 2001)

    assert (status, says["error"]) == (413, "a body of more than 2000 bytes: send it in parts")


async def test_a_large_body_of_unknown_length_is_refused(sender: Sender, taken: Taken) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 100

    headers = {"Content-Type": "application/json", TIMESTAMP: str(NOW_S), SIGNATURE: "sha256=0"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(sender.url, data=parts(), headers=headers) as answer,
    ):
        assert answer.status == 413


async def test_too_many_events_are_refused(sender: Sender, taken: Taken) -> None:
    status, _, _ = await sender.post({"events": [EVENT] * 4})

    assert (status, taken) == (413, [])


@pytest.mark.parametrize(
    "headers", [{"Content-Type": "text/plain"}, {"Content-Encoding": "gzip"}, {"Content-Type": None}]
)
async def test_another_type_of_body_is_refused(sender: Sender, headers: dict[str, str | None]) -> None:
    status, _, _ = await sender.post(b"{}", **headers)

    assert status == 415


async def test_only_post_is_taken_and_only_at_its_path(sender: Sender) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(sender.url) as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        async with session.post(f"{sender.url}/elsewhere") as answer:
            assert answer.status == 404


async def test_more_requests_at_once_than_memory_allows_are_asked_to_wait(
    sender: Sender, taken: Taken
) -> None:
    go = asyncio.Event()
    taken.then = go.wait  # type: ignore[assignment]
    posting = [asyncio.ensure_future(sender.post(EVENT)) for _ in range(AT_ONCE_MAX + 1)]

    done, _ = await asyncio.wait(posting, return_when=asyncio.FIRST_COMPLETED)
    go.set()
    answers = [await each for each in posting]

    assert [each.result()[0] for each in done] == [429]
    assert sorted(status for status, _, _ in answers) == [202] * AT_ONCE_MAX + [429]
    assert (await sender.post(EVENT))[0] == 202


async def test_a_sender_that_breaks_off_harms_nobody(sender: Sender, taken: Taken) -> None:
    _, port = sender.url.removeprefix("http://").removesuffix("/lms").split(":")
    _, writer = await asyncio.open_connection("127.0.0.1", int(port))
    writer.write(
        f"POST /lms HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
        f"{TIMESTAMP}: {NOW_S}\r\n{SIGNATURE}: sha256=0\r\n\r\n{{".encode()
    )
    await writer.drain()
    writer.transport.abort()

    assert (await sender.post(EVENT))[0] == 202
