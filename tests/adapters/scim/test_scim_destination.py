"""What is particular to the scim destination; the laws of all destinations stand in tests/conformance.

Each fault is injected once, in front of a real scim2-server.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from conformance.faults import Proxy, answer, cut_before, cut_in_answer, error, first, proxy_for
from conformance.scim_server import accounts, call, make_account
from conformance.subjects import Scim

from adapters.scim import Destination, Settings
from bus.adapter import EntityShape
from bus.errors import ConfigError, Unavailable
from bus.messages import Op, Outcome

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


@pytest.fixture
def subject(tmp_path: Path, request: pytest.FixtureRequest) -> Scim:
    return Scim(tmp_path, request)


@pytest.fixture
async def proxy(subject: Scim) -> AsyncIterator[Proxy]:
    async with proxy_for(subject.url) as proxy:
        yield proxy


@pytest.fixture
async def there(subject: Scim, proxy: Proxy) -> AsyncIterator[Destination]:
    destination = subject.make(proxy.url)
    yield destination
    await destination.close()


def patched(proxy: Proxy) -> list[Any]:
    [request] = [request for request in proxy.requests if request.method == "PATCH"]
    return request.json["Operations"]


# -- finding the account ----------------------------------------------------------------------------------


async def test_an_account_without_externalid_is_adopted_by_its_name(
    subject: Scim, there: Destination
) -> None:
    made = make_account(subject.url, userName="user1", title="Principal")

    [receipt] = await there.apply([subject.delivery("1", 1)])

    [account] = accounts(subject.url, "1")
    assert (receipt.outcome, receipt.local_id) == (Outcome.DELIVERED, made["id"])
    assert (account["id"], account["title"]) == (made["id"], "Principal")


async def test_a_name_that_another_account_has_fails_and_touches_nothing(
    subject: Scim, there: Destination
) -> None:
    other = make_account(subject.url, userName="user1", externalId="77")

    [receipt] = await there.apply([subject.delivery("1", 1)])

    assert (receipt.outcome, receipt.reason) == (Outcome.FAILED, "userName is taken by another account")
    assert call(f"{subject.url}/Users/{other['id']}") == other


async def test_an_account_that_became_another_records_is_left_alone(
    subject: Scim, there: Destination
) -> None:
    other = make_account(subject.url, userName="someone", externalId="77")

    receipts = [
        *await there.apply([subject.delivery("1", 1, local_id=other["id"])]),
        *await there.apply([subject.delivery("1", 2, op=Op.DELETE, local_id=other["id"])]),
    ]

    assert {receipt.outcome for receipt in receipts} == {Outcome.FAILED}
    assert call(f"{subject.url}/Users/{other['id']}") == other


async def test_two_accounts_of_one_record_are_ambiguous(subject: Scim, there: Destination) -> None:
    make_account(subject.url, userName="a", externalId="1")
    make_account(subject.url, userName="b", externalId="1")

    [receipt] = await there.apply([subject.delivery("1", 1)])

    assert receipt.outcome is Outcome.FAILED
    assert "ambiguous" in receipt.reason


async def test_a_deletion_does_not_look_by_name(subject: Scim, there: Destination) -> None:
    made = make_account(subject.url, userName="user1")

    [receipt] = await there.apply([subject.delivery("1", 1, subject.fields("1"), op=Op.DELETE)])

    assert receipt.outcome is Outcome.UNCHANGED
    assert call(f"{subject.url}/Users/{made['id']}") == made


async def test_a_service_that_ignores_filters_gets_no_second_account(
    subject: Scim, there: Destination, proxy: Proxy
) -> None:
    other = {"id": "x", "userName": "other", "externalId": "77"}
    proxy.spoil("GET", answer(200, json.dumps({"totalResults": 1, "Resources": [other]})))

    [receipt] = await there.apply([subject.delivery("1", 1)])

    assert receipt.outcome is Outcome.FAILED
    assert proxy.writes == []


async def test_names_that_change_hands_within_a_batch_arrive(subject: Scim, there: Destination) -> None:
    await there.apply([subject.delivery("1", 1)])
    newcomer = subject.delivery("2", 3, {**subject.fields("2"), "userName": "user1"})
    renamed = subject.delivery("1", 2, {**subject.fields("1"), "userName": "user1b"})
    one_at_a_time = subject.make(concurrent=1)

    receipts = await one_at_a_time.apply([newcomer, renamed])
    await one_at_a_time.close()

    assert [receipt.outcome for receipt in receipts] == [Outcome.DELIVERED] * 2
    assert accounts(subject.url, "2")[0]["userName"] == "user1"


# -- what is written --------------------------------------------------------------------------------------


async def test_only_what_differs_is_patched_and_only_if_nobody_else_wrote(
    subject: Scim, there: Destination, proxy: Proxy
) -> None:
    [created] = await there.apply([subject.delivery("1", 1)])
    edited = {**subject.fields("1"), "name.familyName": "King", "enterprise.employeeNumber": None}

    await there.apply([subject.delivery("1", 2, edited, local_id=created.local_id)])

    assert patched(proxy) == [
        {"op": "replace", "path": "name.familyName", "value": "King"},
        {"op": "remove", "path": f"{ENTERPRISE}:employeeNumber"},
    ]
    assert proxy.requests[-1].headers["if-match"] == 'W/"1"'
    assert await subject.look("1") == edited


async def test_a_known_account_is_read_and_patched_without_a_search(
    subject: Scim, there: Destination, proxy: Proxy
) -> None:
    [created] = await there.apply([subject.delivery("1", 1)])
    proxy.requests.clear()

    await there.apply([subject.delivery("1", 2, subject.fields("1", "x"), local_id=created.local_id)])

    assert [request.method for request in proxy.requests] == ["GET", "PATCH"]
    assert "filter" not in proxy.requests[0].path


@pytest.mark.parametrize("way", ["PATCH", "PUT"])
async def test_what_the_mapping_does_not_name_stays(
    subject: Scim, there: Destination, proxy: Proxy, way: str
) -> None:
    home = {"value": "home@family.example", "type": "home", "primary": True}
    by_hand = {
        "title": "Dr",
        "name": {"middleName": "M"},
        "emails": [home],
        ENTERPRISE: {"department": "Art"},
    }
    schemas = ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE]
    make_account(subject.url, userName="user1", externalId="1", **by_hand, schemas=schemas)
    if way == "PUT":
        proxy.spoil("PATCH", error(501))

    [receipt] = await there.apply([subject.delivery("1", 1)])

    [account] = accounts(subject.url, "1")
    assert receipt.outcome is Outcome.DELIVERED
    assert proxy.writes[-1] == way
    assert await subject.look("1") == subject.fields("1")
    assert (account["title"], account["name"]["middleName"]) == ("Dr", "M")
    assert account[ENTERPRISE]["department"] == "Art"
    assert sorted((e["value"], e.get("primary")) for e in account["emails"]) == [
        ("home@family.example", True),
        ("user1@school.example", None),
    ]


@pytest.mark.parametrize("way", ["PATCH", "PUT"])
async def test_an_address_goes_and_comes_again(
    subject: Scim, there: Destination, proxy: Proxy, way: str
) -> None:
    if way == "PUT":
        config = {"patch": {"supported": False}, "etag": {"supported": True}, "filter": {"supported": True}}
        proxy.spoil("GET", answer(200, json.dumps(config)), "/ServiceProviderConfig")
    await there.apply([subject.delivery("1", 1)])
    without = {**subject.fields("1"), "emails.work": None, "enterprise.employeeNumber": None}

    await there.apply([subject.delivery("1", 2, without)])
    after = await subject.look("1")
    await there.apply([subject.delivery("1", 3)])

    assert after == without
    assert await subject.look("1") == subject.fields("1")
    assert set(proxy.writes) == {"POST", way}


async def test_who_comes_back_can_sign_in_again(subject: Scim) -> None:
    subject.shape = EntityShape("student", "Users", "userName", (("userName", "text"),))  # type: ignore[misc]
    there = subject.make()
    delivery = subject.delivery("1", 1, {"userName": "user1"})
    await there.apply([delivery])
    await there.apply([subject.delivery("1", 2, op=Op.DELETE, deactivate=True)])
    [gone] = accounts(subject.url, "1")

    await there.apply([delivery])
    await there.close()

    assert (gone["active"], accounts(subject.url, "1")[0]["active"]) == (False, True)


async def test_attributes_in_mixed_case_are_the_same_attributes(
    subject: Scim, there: Destination, proxy: Proxy
) -> None:
    await there.apply([subject.delivery("1", 1)])
    [account] = accounts(subject.url, "1")
    shouting = {
        **{name.upper(): value for name, value in account.items() if name != "id"},
        "id": account["id"],
        "NAME": {name.upper(): value for name, value in account["name"].items()},
        "EMAILS": [{"VALUE": "user1@school.example", "TYPE": "Work"}],
    }
    proxy.spoil("GET", answer(200, json.dumps(shouting)))

    [receipt] = await there.apply([subject.delivery("1", 2, local_id=account["id"])])

    assert receipt.outcome is Outcome.UNCHANGED


async def test_no_more_accounts_at_once_than_the_settings_say(subject: Scim, proxy: Proxy) -> None:
    there = subject.make(proxy.url, concurrent=3)

    receipts = await there.apply([subject.delivery(f"{n}", n) for n in range(30)])
    await there.close()

    assert {receipt.outcome for receipt in receipts} == {Outcome.DELIVERED}
    assert 1 < proxy.at_once_max <= 3


# -- answers that are no success --------------------------------------------------------------------------


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


async def test_409_for_somebody_elses_account_fails(subject: Scim, there: Destination, proxy: Proxy) -> None:
    proxy.spoil("POST", first(lambda: make_account(subject.url, userName="user1", externalId="77")))

    [receipt] = await there.apply([subject.delivery("1", 1)])

    assert (receipt.outcome, receipt.reason) == (Outcome.FAILED, "userName is taken by another account")
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

    async def cut_after(forward: Any) -> bytes:
        await forward()
        return b""

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


# -- settings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "field", "says"),
    [
        ("Groups", "userName", "Users expected"),
        ("Users", "shoeSize", "shoeSize is no attribute"),
        ("Users", "name", "name is no attribute"),
        ("Users", "emails", "emails is no attribute"),
        ("Users", "name.shoe", "name.shoe is no attribute"),
        ("Users", "enterprise.shoe", "enterprise.shoe is no attribute"),
        ("Users", "password", "password cannot be mapped"),
        ("Users", "externalId", "externalId cannot be mapped"),
        ("Users", 'emails.work"] or id pr', "is no attribute"),
    ],
)
async def test_a_mapping_to_nowhere_is_a_config_error(
    subject: Scim, table: str, field: str, says: str
) -> None:
    subject.shape = EntityShape("student", table, "userName", ((field, "text"),))  # type: ignore[misc]

    with pytest.raises(ConfigError, match=says):
        subject.make()


async def test_every_kind_of_path_is_written_and_read(subject: Scim) -> None:
    fields = {
        "USERNAME": "user1",
        "phoneNumbers.mobile": "+1 555 0100",
        "addresses.home.locality": "Springfield",
        "addresses.home.postalCode": "49007",
        "enterprise.department": "Art",
        "preferredLanguage": "en-US",
    }
    shape = EntityShape("student", "Users", "USERNAME", tuple((name, "text") for name in fields))
    subject.shape = shape  # type: ignore[misc]
    there = subject.make()

    outcomes = []
    for given in (fields, fields, {**fields, "addresses.home.locality": "Shelbyville"}):
        outcomes += [r.outcome.value for r in await there.apply([subject.delivery("1", 1, given)])]
    await there.close()

    [account] = accounts(subject.url, "1")
    [address] = account["addresses"]
    assert outcomes == ["delivered", "unchanged", "delivered"]
    assert (address["locality"], address["postalCode"]) == ("Shelbyville", "49007")
    assert account["phoneNumbers"][0]["value"] == "+1 555 0100"


def test_a_token_is_not_shown() -> None:
    assert "hidden" not in repr(Settings.model_validate({"url": "http://x", "token": "hidden"}))
