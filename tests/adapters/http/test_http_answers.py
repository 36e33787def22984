"""Each answer that is no success, once, in front of a real server."""

from typing import Any

import pytest
from conformance.subjects import Http, HttpOwnIds
from record_server import Tenant, answering, cut_after, cut_before, first

from adapters.http import Destination
from bus.errors import ConfigError, Unavailable
from bus.messages import Op, Outcome


async def test_400_and_422_name_fields_and_no_value(subject: Http, there: Destination) -> None:
    [receipt] = await there.apply([subject.delivery("1", 1, {**subject.fields("1"), "grade": "S3cret"})])

    assert (receipt.outcome, receipt.reason) == (Outcome.FAILED, "422: name, grade")


@pytest.mark.parametrize("status", [302, 307, 405, 408, 423, 425, 500, 502, 503, 504])
async def test_a_system_that_cannot_now_is_unavailable(
    subject: Http, there: Destination, tenant: Tenant, status: int
) -> None:
    tenant.spoil("PUT", answering(status, "<html>try later</html>", Location="http://127.0.0.1:9/"))

    with pytest.raises(Unavailable, match=f"^there: .*{status}") as raised:
        await there.apply([subject.delivery("1", 1)])

    [receipt] = await there.apply([subject.delivery("1", 1)])
    assert raised.value.runbook == "http-unavailable"
    assert receipt.outcome is Outcome.DELIVERED


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), ("Wed, 18 Nov 2026 11:08:10 GMT", 90)]  # the clock: 11:06:40
)  # fmt: skip
async def test_429_is_unavailable_for_as_long_as_it_says(
    subject: Http, there: Destination, tenant: Tenant, header: str, seconds: float
) -> None:
    tenant.spoil("PUT", answering(429, Retry_After=header))

    with pytest.raises(Unavailable) as raised:
        await there.apply([subject.delivery("1", 1)])

    assert raised.value.retry_after_s == seconds


async def test_429_in_a_batch_keeps_what_was_done_and_asks_no_more(subject: Http, tenant: Tenant) -> None:
    there = subject.make(concurrent=1)
    await there.apply([subject.delivery("1", 1)])
    tenant.asked.clear()
    tenant.spoil("PUT", answering(429, Retry_After="7"))

    receipts = await there.apply([subject.delivery(f"{n}", n) for n in (1, 2, 3)])
    await there.close()

    assert [receipt.outcome.value for receipt in receipts] == ["unchanged", "retrying", "retrying"]
    assert [receipt.retry_after_s for receipt in receipts] == [None, 7, 7]
    assert not any(receipt.tried for receipt in receipts[1:])
    assert tenant.writes == ["PUT /students/2"]


async def test_500_for_one_record_stops_no_other(subject: Http, tenant: Tenant) -> None:
    there = subject.make(concurrent=1)
    tenant.spoil("PUT", answering(500))

    receipts = await there.apply([subject.delivery(f"{n}", n) for n in (1, 2, 3)])
    await there.close()

    assert [receipt.outcome.value for receipt in receipts] == ["retrying", "delivered", "delivered"]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_token_is_unavailable_with_its_runbook(
    subject: Http, there: Destination, tenant: Tenant, status: int
) -> None:
    tenant.spoil("PUT", answering(status))

    with pytest.raises(Unavailable, match="the token was refused") as raised:
        await there.apply([subject.delivery("1", 1)])

    assert raised.value.runbook == "token-refused"


async def test_a_record_that_goes_under_our_hands_is_made_again(
    subject: Http, there: Destination, tenant: Tenant
) -> None:
    await there.apply([subject.delivery("1", 1)])
    tenant.spoil("PATCH", first(tenant.table().clear))

    [receipt] = await there.apply([subject.delivery("1", 2, subject.fields("1", "new"))])

    assert receipt.outcome is Outcome.DELIVERED
    assert await subject.look("1") == subject.fields("1", "new")


async def test_412_looks_again_and_writes_over_what_is_there_now(
    subject: Http, there: Destination, tenant: Tenant
) -> None:
    await there.apply([subject.delivery("1", 1)])

    def somebody_else() -> None:
        tenant.table()["1"] |= {"teacher": "T"}
        tenant.etags["/students/1"] += 1

    tenant.spoil("PATCH", first(somebody_else))

    [receipt] = await there.apply([subject.delivery("1", 2, subject.fields("1", "new"))])

    assert receipt.outcome is Outcome.DELIVERED
    assert tenant.writes == ["PUT /students/1", "PATCH /students/1", "PATCH /students/1"]
    assert (tenant.table()["1"]["teacher"], tenant.table()["1"]["note"]) == ("T", "new")


async def test_412_again_is_tried_later(subject: Http, there: Destination, tenant: Tenant) -> None:
    await there.apply([subject.delivery("1", 1)])
    for _ in range(2):
        tenant.spoil("PATCH", answering(412))

    [receipt] = await there.apply([subject.delivery("1", 2, subject.fields("1", "new"))])

    assert (receipt.outcome, receipt.reason[:3]) == (Outcome.RETRYING, "412")


async def test_404_where_a_record_is_made_is_tried_later(
    subject: Http, there: Destination, tenant: Tenant
) -> None:
    for _ in range(2):
        tenant.spoil("PUT", answering(404))

    [receipt] = await there.apply([subject.delivery("1", 1)])

    assert receipt.outcome is Outcome.RETRYING
    assert "paths in the settings" in receipt.reason


async def test_409_for_a_record_that_is_there_by_now_updates_it(own_ids: HttpOwnIds) -> None:
    there, tenant = own_ids.make(), own_ids.tenant
    old = {"id": "own 9", "external_id": "1", "name": "old", "active": True}
    tenant.spoil("POST", first(lambda: tenant.table().update({"own 9": old})))

    [receipt] = await there.apply([own_ids.delivery("1", 1)])
    await there.close()

    assert (receipt.outcome, receipt.local_id) == (Outcome.DELIVERED, "own 9")
    assert tenant.writes == ["POST /students", "PATCH /students/own 9"]


async def test_409_again_fails_once_nothing_else_can_make_way(
    subject: Http, there: Destination, tenant: Tenant
) -> None:
    for _ in range(2):
        tenant.spoil("PUT", answering(409, "the name of Ada 1 is taken"))

    [receipt] = await there.apply([subject.delivery("1", 1)])

    assert receipt.outcome is Outcome.FAILED
    assert receipt.reason == "409: another record there is in its way: name"


async def test_409_is_tried_once_more_after_the_others_of_its_batch(subject: Http, tenant: Tenant) -> None:
    there = subject.make(concurrent=1)
    for _ in range(2):
        tenant.spoil("PUT", answering(409), "/students/1")

    receipts = await there.apply([subject.delivery("1", 1), subject.delivery("2", 2)])
    await there.close()

    assert [receipt.outcome for receipt in receipts] == [Outcome.DELIVERED] * 2


@pytest.mark.parametrize("cut", [cut_before, cut_after])
async def test_a_lost_answer_is_looked_up_and_nothing_is_made_twice(own_ids: HttpOwnIds, cut: Any) -> None:
    there, tenant = own_ids.make(), own_ids.tenant
    tenant.spoil("POST", cut)

    [receipt] = await there.apply([own_ids.delivery("1", 1)])
    await there.close()

    assert (receipt.outcome, receipt.local_id) == (Outcome.DELIVERED, "own 1")
    assert len(tenant.table()) == 1
    assert tenant.writes == ["POST /students"] * (2 if cut is cut_before else 1)


async def test_a_lost_answer_of_a_deletion_is_delivered(
    subject: Http, there: Destination, tenant: Tenant
) -> None:
    await there.apply([subject.delivery("1", 1)])
    for _ in range(2):  # aiohttp asks again by itself what does no harm
        tenant.spoil("DELETE", cut_after)

    [receipt] = await there.apply([subject.delivery("1", 2, op=Op.DELETE)])

    assert receipt.outcome is Outcome.DELIVERED
    assert tenant.table() == {}


async def test_a_cut_while_looking_is_unavailable_and_writes_nothing(
    subject: Http, there: Destination, tenant: Tenant
) -> None:
    for _ in range(3):  # aiohttp asks again what cannot do harm
        tenant.spoil("GET", cut_before)

    with pytest.raises(Unavailable, match="no answer"):
        await there.apply([subject.delivery("1", 1)])

    assert tenant.writes == []


async def test_a_page_that_is_not_json_is_unavailable(
    subject: Http, there: Destination, tenant: Tenant
) -> None:
    tenant.spoil("GET", answering(200, "<html>Welcome</html>"))

    with pytest.raises(Unavailable, match="not JSON"):
        await there.apply([subject.delivery("1", 1)])

    assert tenant.writes == []


async def test_two_records_with_our_id_fail(own_ids: HttpOwnIds) -> None:
    there, tenant = own_ids.make(), own_ids.tenant
    tenant.table().update({f"own {n}": {"id": f"own {n}", "external_id": "1"} for n in (1, 2)})

    [receipt] = await there.apply([own_ids.delivery("1", 1)])
    await there.close()

    assert receipt.outcome is Outcome.FAILED
    assert receipt.reason == "ambiguous: 2 records there have its id. Merge them there"


async def test_check_says_that_the_address_is_wrong(
    subject: Http, there: Destination, tenant: Tenant
) -> None:
    tenant.spoil("GET", answering(404), "/health")
    with pytest.raises(ConfigError, match="See url and check in the settings"):
        await there.check()

    tenant.spoil("GET", answering(500), "/health")
    with pytest.raises(Unavailable, match="500"):
        await there.check()


async def test_a_system_that_takes_too_long_is_unavailable(subject: Http, tenant: Tenant) -> None:
    there = subject.make(timeout_s=0.05)

    async def slow(request: Any, go: Any) -> Any:
        while not request.transport.is_closing():
            await go()
        return await go()

    tenant.spoil("GET", slow)
    with pytest.raises(Unavailable, match="TimeoutError"):
        await there.apply([subject.delivery("1", 1)])
    await there.close()
