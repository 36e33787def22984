"""Many records in one request: each is settled by its own result, or all by the one answer."""

import pytest
from conformance.subjects import Http
from record_server import Tenant, answering, cut_after

from adapters.http import Destination
from bus.errors import Unavailable
from bus.messages import Op, Outcome

BATCH = {"path": "/students/batch", "size": 3}


@pytest.fixture
def batches(subject: Http) -> Destination:
    return subject.make(table={"batch": BATCH, "local_id": "id"}, concurrent=1)


async def test_a_batch_is_cut_into_requests_of_its_size(
    subject: Http, batches: Destination, tenant: Tenant
) -> None:
    receipts = await batches.apply([subject.delivery(f"{n}", n) for n in range(1, 8)])
    await batches.close()

    assert [receipt.outcome for receipt in receipts] == [Outcome.DELIVERED] * 7
    assert [receipt.local_id for receipt in receipts] == [f"b{n}" for n in range(1, 8)]
    assert [len(each.body["records"]) for each in tenant.asked] == [3, 3, 1]
    assert tenant.table()["7"]["name"] == "Ada 7"


async def test_a_record_says_what_is_to_become_of_it(
    subject: Http, batches: Destination, tenant: Tenant
) -> None:
    await batches.apply([subject.delivery("1", 1), subject.delivery("2", 2)])
    tenant.spoil("POST", answering(200, "{}"))

    await batches.apply(
        [
            subject.delivery("1", 3, op=Op.DELETE),
            subject.delivery("2", 4, op=Op.DELETE, deactivate=True),
            subject.delivery("3", 5, {"name": "C"}),
        ]
    )
    await batches.close()

    assert tenant.asked[-1].body["records"] == [
        {"id": "1", "op": "delete"},
        {"id": "2", "active": False, "op": "update"},
        {"id": "3", "name": "C", "op": "update"},
    ]


async def test_a_bad_record_fails_alone_by_its_result(subject: Http, batches: Destination) -> None:
    batch = [subject.delivery(f"{n}", n) for n in range(1, 4)]
    batch[1] = subject.delivery("2", 2, {"name": None, "note": "S3cret"})

    receipts = await batches.apply(batch)
    await batches.close()

    assert [receipt.outcome.value for receipt in receipts] == ["delivered", "failed", "delivered"]
    assert receipts[1].reason == "422: name"


async def test_a_bad_record_that_spoils_the_answer_for_all_fails_alone(
    subject: Http, batches: Destination, tenant: Tenant
) -> None:
    tenant.results = False
    batch = [subject.delivery(f"{n}", n) for n in range(1, 4)]
    batch[1] = subject.delivery("2", 2, {"name": None})

    receipts = await batches.apply(batch)
    await batches.close()

    assert [receipt.outcome.value for receipt in receipts] == ["delivered", "failed", "delivered"]
    assert len(tenant.asked) == 4


async def test_what_cannot_be_sent_at_all_fails_alone(
    subject: Http, batches: Destination, tenant: Tenant
) -> None:
    broken = subject.delivery("2", 2, subject.fields("2", "\ud83d"))

    receipts = await batches.apply([subject.delivery("1", 1), broken])
    await batches.close()

    assert [receipt.outcome.value for receipt in receipts] == ["delivered", "failed"]
    assert len(tenant.asked[0].body["records"]) == 1


async def test_a_deletion_of_what_is_not_there_is_unchanged(subject: Http, batches: Destination) -> None:
    receipts = await batches.apply([subject.delivery("1", 1, op=Op.DELETE), subject.delivery("2", 2)])
    await batches.close()

    assert [receipt.outcome.value for receipt in receipts] == ["unchanged", "delivered"]


async def test_a_lost_answer_is_asked_for_again(subject: Http, batches: Destination, tenant: Tenant) -> None:
    tenant.spoil("POST", cut_after)

    receipts = await batches.apply([subject.delivery("1", 1), subject.delivery("2", 2)])
    await batches.close()

    assert [receipt.outcome for receipt in receipts] == [Outcome.DELIVERED] * 2
    assert len(tenant.asked) == 2


async def test_when_the_system_goes_down_in_between_the_rest_is_tried_again(
    subject: Http, batches: Destination, tenant: Tenant
) -> None:
    receipts = await batches.apply([subject.delivery(f"{n}", n) for n in range(1, 4)])
    tenant.asked.clear()
    tenant.spoil("POST", answering(200, "{}"))
    tenant.spoil("POST", answering(503, Retry_After="9"))

    receipts = await batches.apply([subject.delivery(f"{n}", n) for n in range(1, 10)])
    await batches.close()

    assert [receipt.outcome.value for receipt in receipts] == ["delivered"] * 3 + ["retrying"] * 6
    assert [receipt.retry_after_s for receipt in receipts] == [None] * 3 + [9] * 6
    assert len(tenant.asked) == 2


async def test_a_result_may_say_that_its_record_is_for_later(
    subject: Http, batches: Destination, tenant: Tenant
) -> None:
    tenant.spoil("POST", answering(200, '{"results": [{"status": 200}, {"status": 503}, {"status": 412}]}'))

    receipts = await batches.apply([subject.delivery(f"{n}", n) for n in range(1, 4)])
    await batches.close()

    assert [receipt.outcome.value for receipt in receipts] == ["delivered", "retrying", "retrying"]


@pytest.mark.parametrize("results", ['[{"status": 200}]', '"all well"', "[1, 2]", '[{"status": "x"}, {}]'])
async def test_results_that_do_not_fit_are_not_believed(
    subject: Http, batches: Destination, tenant: Tenant, results: str
) -> None:
    tenant.spoil("POST", answering(200, f'{{"results": {results}}}'))
    batch = [subject.delivery("1", 1), subject.delivery("2", 2)]

    try:
        receipts = await batches.apply(batch)
    except Unavailable:
        return
    finally:
        await batches.close()
    assert receipts[0].outcome is Outcome.RETRYING


async def test_the_version_goes_along_in_its_field(subject: Http, tenant: Tenant) -> None:
    there = subject.make(table={"batch": BATCH}, version_field="v")

    await there.apply([subject.delivery("1", 5)])
    await there.close()

    assert tenant.asked[0].body["records"][0]["v"] == subject.delivery("1", 5).version.number
