"""The proxy of the contract kit: what it lets through is as it was; a fault strikes where it was told to."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from record_server import TOKEN, RecordServer, Tenant

from adapters.contract.proxy import Proxy, answer, cut_after, proxy_for

HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def tenant(records: RecordServer, request: pytest.FixtureRequest) -> Tenant:
    return records.tenant(request.node.name)


@pytest.fixture
async def proxy(records: RecordServer, request: pytest.FixtureRequest) -> AsyncIterator[Proxy]:
    async with proxy_for(f"{records.url}/{request.node.name}") as proxy:
        yield proxy


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        yield session


async def put(session: aiohttp.ClientSession, proxy: Proxy, id_: str, name: str = "Ada") -> int:
    async with session.put(f"{proxy.url}/students/{id_}", json={"name": name}) as answer:
        await answer.read()
        return answer.status


async def test_what_is_not_spoiled_goes_through_as_it_was(
    proxy: Proxy, session: aiohttp.ClientSession, tenant: Tenant
) -> None:
    assert await put(session, proxy, "1", "Zoë 👩") == 200
    async with session.get(f"{proxy.url}/students/1") as found:
        assert await found.json() == {"name": "Zoë 👩"}

    assert [(each.method, each.path) for each in tenant.asked] == [
        ("PUT", "/students/1"),
        ("GET", "/students/1"),
    ]


async def test_a_body_in_chunks_goes_through(
    proxy: Proxy, session: aiohttp.ClientSession, tenant: Tenant
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"name": '
        yield b'"Ada"}'

    headers = {"Content-Type": "application/json"}
    async with session.put(f"{proxy.url}/students/1", data=chunks(), headers=headers) as answer:
        assert answer.status == 200

    assert tenant.table()["1"] == {"name": "Ada"}


async def test_the_nth_request_is_spoiled_and_no_other(
    proxy: Proxy, session: aiohttp.ClientSession, tenant: Tenant
) -> None:
    proxy.spoil_nth(1, answer(500))

    statuses = [await put(session, proxy, id_) for id_ in ("1", "2", "3")]

    assert statuses == [200, 500, 200]
    assert sorted(tenant.table()) == ["1", "3"]


async def test_a_fault_that_lasts_strikes_until_it_is_mended(
    proxy: Proxy, session: aiohttp.ClientSession
) -> None:
    proxy.spoil_write(answer(503), lasts=True)

    before = [await put(session, proxy, id_) for id_ in ("1", "2")]
    never_came = proxy.mend()

    assert (before, never_came) == ([503, 503], False)
    assert await put(session, proxy, "1") == 200


async def test_a_lost_answer_is_of_what_was_done(
    proxy: Proxy, session: aiohttp.ClientSession, tenant: Tenant
) -> None:
    proxy.spoil_write(cut_after)

    with pytest.raises(aiohttp.ClientError):
        async with session.post(f"{proxy.url}/students", json={"name": "Ada"}):
            pass

    assert [record["name"] for record in tenant.table().values()] == ["Ada"]
