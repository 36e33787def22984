"""Several systems share one address, each with its path; whoever comes too early is asked to come again."""

import asyncio
import socket
from pathlib import Path

import aiohttp
import pytest
from real_nats import eventually
from webhook_sender import Sender, Taken, free_port, listening, make

from bus.adapter import Listener
from bus.errors import ConfigError, Unavailable

EVENT = {"id": "a1", "table": "enrollments", "data": {"id": "7"}}


def test_it_is_a_listener(port: int, tmp_path: Path) -> None:
    assert isinstance(make(port, tmp_path), Listener)


async def test_systems_share_an_address(port: int, tmp_path: Path, session: aiohttp.ClientSession) -> None:
    first, second = make(port, tmp_path), make(port, tmp_path, path="/sis", system="sis")
    heard_first, heard_second = Taken(), Taken()

    async with listening(first, heard_first), listening(second, heard_second):
        await Sender(session, f"http://127.0.0.1:{port}/lms").post({**EVENT, "id": "for the first"})
        await Sender(session, f"http://127.0.0.1:{port}/sis").post({**EVENT, "id": "for the second"})

    assert [said.id for said in heard_first] == ["for the first"]
    assert [said.id for said in heard_second] == ["for the second"]
    await first.close()
    await second.close()


async def test_when_one_stops_the_others_listen_on(
    port: int, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    first, second = make(port, tmp_path), make(port, tmp_path, path="/sis", system="sis")
    heard_first, heard_second = Taken(), Taken()

    async with listening(second, heard_second):
        async with listening(first, heard_first):
            pass
        stopped = await Sender(session, f"http://127.0.0.1:{port}/lms").post(EVENT)
        other = await Sender(session, f"http://127.0.0.1:{port}/sis").post(EVENT)

    assert (stopped[0], other[0]) == (503, 202)
    assert (len(heard_first), len(heard_second)) == (0, 1)
    await first.close()
    await second.close()


async def test_who_comes_before_its_system_listens_is_asked_to_come_again(
    port: int, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    first, second = make(port, tmp_path), make(port, tmp_path, path="/sis", system="sis")

    async with listening(first, Taken()):
        early = await Sender(session, f"http://127.0.0.1:{port}/sis").post(EVENT)
        await second.close()
        gone = await Sender(session, f"http://127.0.0.1:{port}/sis").post(EVENT)

    assert (early[0], early[2]["Retry-After"], gone[0]) == (503, "5", 404)
    await first.close()


async def test_two_systems_cannot_have_one_path(port: int, tmp_path: Path) -> None:
    first = make(port, tmp_path)
    with pytest.raises(ConfigError, match=f"sis: another system listens at /lms on 127.0.0.1:{port}"):
        make(port, tmp_path, system="sis")

    await first.close()
    await first.close()
    second = make(port, tmp_path, system="sis")
    await second.close()


async def test_the_address_is_let_go_when_nobody_listens_any_more(port: int, tmp_path: Path) -> None:
    source = make(port, tmp_path)
    for _ in range(2):
        async with listening(source, Taken()):
            with pytest.raises(OSError, match="in use"):
                socket.create_server(("127.0.0.1", port))
        socket.create_server(("127.0.0.1", port)).close()
    await source.close()


async def test_a_stop_waits_for_what_is_under_way(
    port: int, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    source, taken = make(port, tmp_path), Taken()
    begun, go = asyncio.Event(), asyncio.Event()

    async def slowly() -> None:
        begun.set()
        await go.wait()

    taken.then = slowly
    listens = asyncio.ensure_future(source.listen(taken))
    await eventually(lambda: source._door.is_listened_at)
    posting = asyncio.ensure_future(Sender(session, f"http://127.0.0.1:{port}/lms").post(EVENT))
    await begun.wait()
    listens.cancel()
    done, _ = await asyncio.wait([listens], timeout=0.1)
    go.set()

    assert not done
    assert (await posting)[0] == 202
    await asyncio.wait([listens])
    await source.close()


async def test_an_address_that_another_program_has_is_unavailable(port: int, tmp_path: Path) -> None:
    source = make(port, tmp_path)
    with socket.create_server(("127.0.0.1", port)) as other:
        for call in (source.check, lambda: source.listen(Taken())):
            with pytest.raises(Unavailable, match="another program listens there") as raised:
                listens = asyncio.ensure_future(call())
                if call == source.check:  # the other one says nothing sensible to who asks
                    asker, _ = await asyncio.to_thread(other.accept)
                    asker.close()
                await listens
            assert raised.value.runbook == "webhook-address"
    await source.close()


async def test_an_address_of_no_interface_is_unavailable(tmp_path: Path) -> None:
    source = make(free_port(), tmp_path, host="192.0.2.1")

    with pytest.raises(Unavailable, match="cannot be listened at"):
        await source.check()
    await source.close()


async def test_check_is_content_with_a_free_address_and_with_our_own(port: int, tmp_path: Path) -> None:
    source = make(port, tmp_path)

    await source.check()
    async with listening(source, Taken()):
        await source.check()
        # `yellowbus check --connect` is another process: it has to ask
        assert await source._is_ours()
    await source.close()
