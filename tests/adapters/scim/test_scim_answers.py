"""Each answer that is no success (RFC 7644 section 3.12), once, in front of a real scim2-server."""

from typing import Any

import pytest
from conformance.faults import answer, error
from conformance.scim_server import accounts, call, make_account
from conformance.subjects import Scim

from adapters.contract.proxy import Proxy, cut_after, cut_before, cut_in_answer, first
from adapters.scim import Destination
from bus.errors import ConfigError, Unavailable
from bus.messages import Op, Outcome


async def test_an_account_that_has_gone_is_made_again(subject: Scim, there: Destination) -> None:
    [created] = await there.apply([subject.delivery("1", 1)])
    call(f"{subject.url}/Users/{created.local_id}", "DELETE")

    [receipt] = await there.apply([subject.delivery("1", 2, local_id=created.local_id)])

    assert receipt.outcome is Outcome.DELIVERED
    assert receipt.local_id == accounts(subject.url, "1")[0]["id"] != created.local_id


@pytest.mark.parametrize("op", [Op.UPDATE, Op.DELETE])
async def test_an_account_that_goes_under_our_hands_is_looked_for_again(
    subject: Scim, there: Destination, proxy: Proxy, op: Op
) -> None:
    [created] = await there.apply([subject.delivery("1", 1)])
    address = f"{subject.url}/Users/{created.local_id}"
    proxy.spoil("DELETE" if op is Op.DELETE else "PATCH", first(lambda: call(address, "DELETE")))

    [receipt] = await there.apply(
        [subject.delivery("1", 2, {"userName": "user1b"}, op=op, local_id=created.local_id)]
    )

    assert receipt.outcome is (Outcome.UNCHANGED if op is Op.DELETE else Outcome.DELIVERED)
    assert len(accounts(subject.url, "1")) == (op is Op.UPDATE)


async def test_409_for_an_account_that_is_ours_adopts_it(
    subject: Scim, there: Destination, proxy: Proxy
) -> None:
    proxy.spoil("POST", first(lambda: make_account(subject.url, userName="user1", externalId="1")))

    [receipt] = await there.apply([subject.delivery("1", 1)])

    assert receipt.outcome is Outcome.DELIVERED
    assert proxy.writes == ["POST", "PATCH"]
    assert await subject.look("1") == subject.fields("1")


async def test_409_for_another_records_account_is_tried_again_later(
    subject: Scim, there: Destination, proxy: Proxy
) -> None:
    proxy.spoil("POST", first(lambda: make_account(subject.url, userName="user1", externalId="77")))

    [receipt] = await there.apply([subject.delivery("1", 1)])

    assert (receipt.outcome, receipt.reason) == (Outcome.RETRYING, "its userName is another record's yet")
    assert accounts(subject.url, "1") == []


async def test_409_again_fails_with_its_reason(subject: Scim, there: Destination, proxy: Proxy) -> None:
    for _ in range(2):
        proxy.spoil("POST", error(409, "uniqueness", "emails: user1@school.example is in use"))

    [receipt] = await there.apply([subject.delivery("1", 1)])

    assert receipt.outcome is Outcome.FAILED
    assert receipt.reason.startswith("409 uniqueness: emails.work")
    assert "user1" not in receipt.reason


async def test_412_reads_again_and_keeps_both_edits(subject: Scim, there: Destination, proxy: Proxy) -> None:
    [created] = await there.apply([subject.delivery("1", 1)])
    patch = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "title", "value": "Dr"}],
    }
    proxy.spoil("PATCH", first(lambda: call(f"{subject.url}/Users/{created.local_id}", "PATCH", patch)))

    [receipt] = await there.apply([subject.delivery("1", 2, subject.fields("1", "new"))])

    [account] = accounts(subject.url, "1")
    assert receipt.outcome is Outcome.DELIVERED
    assert proxy.writes == ["POST", "PATCH", "PATCH"]
    assert (account["title"], account["displayName"]) == ("Dr", "new")


async def test_412_again_is_tried_later(subject: Scim, there: Destination, proxy: Proxy) -> None:
    await there.apply([subject.delivery("1", 1)])
    proxy.spoil("PATCH", error(412))
    proxy.spoil("PATCH", error(412))

    [receipt] = await there.apply([subject.delivery("1", 2, subject.fields("1", "new"))])

    assert receipt.outcome is Outcome.RETRYING
    assert "412" in receipt.reason


async def test_429_alone_is_unavailable_for_as_long_as_it_says(
    subject: Scim, there: Destination, proxy: Proxy
) -> None:
    proxy.spoil("POST", error(429, Retry_After="7"))

    with pytest.raises(Unavailable) as raised:
        await there.apply([subject.delivery("1", 1)])

    assert raised.value.retry_after_s == 7


async def test_a_retry_after_may_be_a_date(subject: Scim, there: Destination, proxy: Proxy) -> None:
    proxy.spoil("POST", error(503, Retry_After="Wed, 18 Nov 2026 11:08:10 GMT"))  # the clock: 11:06:40

    with pytest.raises(Unavailable) as raised:
        await there.apply([subject.delivery("1", 1)])

    assert raised.value.retry_after_s == 90


async def test_429_in_a_batch_keeps_what_was_done_and_asks_no_more(subject: Scim, proxy: Proxy) -> None:
    there = subject.make(proxy.url, concurrent=1)
    await there.apply([subject.delivery("1", 1)])
    proxy.requests.clear()
    proxy.spoil("POST", error(429, Retry_After="7"))

    receipts = await there.apply(
        [subject.delivery("1", 1), subject.delivery("2", 2), subject.delivery("3", 3)]
    )
    await there.close()

    assert [receipt.outcome.value for receipt in receipts] == ["unchanged", "retrying", "retrying"]
    assert [receipt.retry_after_s for receipt in receipts] == [None, 7, 7]
    assert proxy.writes == ["POST"]


async def test_500_for_one_account_stops_no_other(subject: Scim, proxy: Proxy) -> None:
    there = subject.make(proxy.url, concurrent=1)
    proxy.spoil("POST", error(500))

    receipts = await there.apply([subject.delivery(f"{n}", n) for n in (1, 2, 3)])
    await there.close()

    assert [receipt.outcome.value for receipt in receipts] == ["retrying", "delivered", "delivered"]


@pytest.mark.parametrize("status", [302, 408, 423, 425, 500, 502, 503, 504])
async def test_a_service_that_cannot_now_is_unavailable(
    subject: Scim, there: Destination, proxy: Proxy, status: int
) -> None:
    proxy.spoil("POST", answer(status, "<html>try later</html>", Content_Type="text/html"))

    with pytest.raises(Unavailable, match=str(status)):
        await there.apply([subject.delivery("1", 1)])

    [receipt] = await there.apply([subject.delivery("1", 1)])
    assert receipt.outcome is Outcome.DELIVERED


async def test_400_names_its_type_and_attributes_and_no_value(
    subject: Scim, there: Destination, proxy: Proxy
) -> None:
    proxy.spoil("POST", error(400, "invalidValue", "displayName 'Ada' and userType Student are too long"))

    [receipt] = await there.apply([subject.delivery("1", 1)])

    assert receipt.outcome is Outcome.FAILED
    assert receipt.reason == "400 invalidValue: displayName, userType"


async def test_a_cut_before_the_write_writes_once(subject: Scim, there: Destination, proxy: Proxy) -> None:
    proxy.spoil("POST", cut_before)

    [receipt] = await there.apply([subject.delivery("1", 1)])

    assert receipt.outcome is Outcome.DELIVERED
    assert len(accounts(subject.url, "1")) == 1


async def test_a_cut_after_the_write_reads_back_and_writes_no_second_time(
    subject: Scim, there: Destination, proxy: Proxy
) -> None:
    proxy.spoil("POST", cut_in_answer)

    [receipt] = await there.apply([subject.delivery("1", 1)])

    [account] = accounts(subject.url, "1")
    assert (receipt.outcome, receipt.local_id) == (Outcome.DELIVERED, account["id"])
    assert proxy.writes == ["POST"]


async def test_a_cut_in_a_deletion_is_delivered(subject: Scim, there: Destination, proxy: Proxy) -> None:
    await there.apply([subject.delivery("1", 1)])

    proxy.spoil("DELETE", cut_after)

    [receipt] = await there.apply([subject.delivery("1", 2, op=Op.DELETE)])

    assert receipt.outcome is Outcome.DELIVERED
    assert proxy.writes == ["POST", "DELETE"]


@pytest.mark.parametrize("cut", [cut_before, cut_in_answer])
async def test_a_cut_while_looking_is_unavailable_and_writes_nothing(
    subject: Scim, there: Destination, proxy: Proxy, cut: Any
) -> None:
    proxy.spoil("GET", cut)

    with pytest.raises(Unavailable, match="no answer"):
        await there.apply([subject.delivery("1", 1)])

    assert proxy.writes == []


async def test_a_page_that_is_not_scim_is_unavailable(
    subject: Scim, there: Destination, proxy: Proxy
) -> None:
    proxy.spoil("GET", answer(200, "<html>Welcome</html>", Content_Type="text/html"))

    with pytest.raises(Unavailable, match="not SCIM"):
        await there.apply([subject.delivery("1", 1)])

    assert proxy.writes == []


async def test_check_says_that_the_address_is_wrong(subject: Scim, there: Destination, proxy: Proxy) -> None:
    for path in ("/ServiceProviderConfig", "/Users"):
        proxy.spoil("GET", error(404), path)

    with pytest.raises(ConfigError, match="See the url in the settings"):
        await there.check()


async def test_check_wants_a_service_that_can_filter(subject: Scim, there: Destination, proxy: Proxy) -> None:
    proxy.spoil("GET", answer(200, '{"filter": {"supported": false}}'), "/ServiceProviderConfig")

    with pytest.raises(ConfigError, match="cannot filter"):
        await there.check()


async def test_a_name_whose_holder_cannot_be_asked_for_is_not_refused_for_good(
    subject: Scim, there: Destination, proxy: Proxy
) -> None:
    make_account(subject.url, userName="user1", externalId="77")

    def cut_off() -> None:
        """From then on: the name is taken, and whose it is is not answered."""
        for _ in range(4):
            proxy.spoil("GET", cut_before, "userName")

    proxy.spoil("GET", first(cut_off), "userName")
    [receipt] = await there.apply([subject.delivery("1", 1)])

    assert (receipt.outcome, receipt.reason) == (Outcome.RETRYING, "its userName is another record's yet")
