"""What is particular to the scim destination; the laws of all destinations stand in tests/conformance."""

import json
from typing import Any

import pytest
from conformance.faults import answer, error
from conformance.scim_server import accounts, call, make_account
from conformance.subjects import Scim

from adapters.contract.proxy import Proxy
from adapters.scim import Destination, Settings
from bus.adapter import EntityShape
from bus.errors import ConfigError
from bus.messages import Op, Outcome

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def patched(proxy: Proxy) -> list[Any]:
    [request] = [request for request in proxy.requests if request.method == "PATCH"]
    return request.json["Operations"]


# -- finding the account ----------------------------------------------------------------------------------


async def test_an_account_that_is_linked_gets_our_id_and_keeps_the_rest(
    subject: Scim, there: Destination
) -> None:
    made = make_account(subject.url, userName="user1", title="Principal")

    [receipt] = await there.apply([subject.delivery("1", 1, local_id=made["id"])])

    [account] = accounts(subject.url, "1")
    assert (receipt.outcome, receipt.local_id) == (Outcome.DELIVERED, made["id"])
    assert (account["id"], account["title"]) == (made["id"], "Principal")


@pytest.mark.parametrize(
    ("whose", "answer"),
    [
        ({}, (Outcome.FAILED, "userName is taken by another account")),
        ({"externalId": "77"}, (Outcome.RETRYING, "its userName is another record's yet")),
    ],
    ids=["nobody's", "another record's"],
)
async def test_a_name_that_another_account_has_is_not_given_and_nothing_is_touched(
    subject: Scim, there: Destination, whose: dict[str, str], answer: tuple[Outcome, str]
) -> None:
    other = make_account(subject.url, userName="user1", **whose)

    [receipt] = await there.apply([subject.delivery("1", 1)])

    assert (receipt.outcome, receipt.reason) == answer
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


def test_a_file_of_authorities_that_is_not_there_is_a_config_error(subject: Scim) -> None:
    with pytest.raises(ConfigError, match=r"settings\.verify: .*none\.pem"):
        subject.make("https://idp.example", verify=str(subject.folder / "none.pem"))


# -- fault 20: edited by hand since we looked ------------------------------------------------------------


async def test_20_what_was_edited_there_since_it_was_read_is_not_written_over(
    subject: Scim, there: Destination
) -> None:
    [made] = await there.apply([subject.delivery("1", 1)])
    address = f"{subject.url}/Users/{made.local_id}"
    by_hand = {"op": "replace", "path": 'emails[type eq "work"].value', "value": "new@school.example"}
    schema = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
    call(address, "PATCH", {"schemas": [schema], "Operations": [by_hand]})
    base = {"emails.work": "USER1@school.example ", "displayName": "Ada", "active": True}
    told = {**subject.fields("1", "Ada L."), "emails.work": "user1b@school.example"}
    delivery = subject.delivery("1", 2, told, local_id=made.local_id)._replace(base=base)

    [receipt] = await there.apply([delivery])
    after = call(address)
    [again] = await there.apply([delivery])

    assert (after["displayName"], after["emails"][0]["value"]) == ("Ada L.", "new@school.example")
    assert receipt.outcome is Outcome.DELIVERED
    assert receipt.reason == "edited there since it was looked at, and left so: emails.work"
    assert again.outcome is Outcome.UNCHANGED and again.reason == receipt.reason
    assert call(address) == after


async def test_20_what_is_as_it_was_read_is_written_also_in_another_case(
    subject: Scim, there: Destination
) -> None:
    [made] = await there.apply([subject.delivery("1", 1)])
    told = {**subject.fields("1"), "emails.work": None, "userType": "Alumna", "active": False}
    base = {"emails.work": "USER1@school.example ", "userType": "student", "active": True}

    [receipt] = await there.apply(
        [subject.delivery("1", 2, told, local_id=made.local_id)._replace(base=base)]
    )

    [account] = accounts(subject.url, "1")
    assert (receipt.outcome, receipt.reason) == (Outcome.DELIVERED, "")
    assert ("emails" in account, account["userType"], account["active"]) == (False, "Alumna", False)


async def test_two_who_swap_their_names_get_them_though_names_are_unique(
    subject: Scim, there: Destination
) -> None:
    made = await there.apply([subject.delivery(id_, 1) for id_ in ("1", "2", "3")])
    ids = [receipt.local_id for receipt in made]
    names = {"1": "user2", "2": "user3", "3": "user1"}
    swapped = [
        subject.delivery(id_, 2, {"userName": name}, local_id=local_id)
        for (id_, name), local_id in zip(names.items(), ids, strict=True)
    ]

    receipts = await there.apply(swapped)

    assert [receipt.outcome for receipt in receipts] == [Outcome.DELIVERED] * 3
    for id_, name in names.items():
        (account,) = accounts(subject.url, id_)
        assert account["userName"] == name


async def test_two_who_swap_their_names_get_them_also_when_they_are_tried_apart(
    subject: Scim, there: Destination
) -> None:
    made = await there.apply([subject.delivery(id_, 1) for id_ in ("1", "2")])
    swapped = [
        subject.delivery(id_, 2, {"userName": name}, local_id=receipt.local_id)
        for (id_, name), receipt in zip({"1": "user2", "2": "user1"}.items(), made, strict=True)
    ]

    outcomes = [(await there.apply([swapped[at]]))[0].outcome for at in (0, 1, 0, 1)]

    assert outcomes == [Outcome.RETRYING, Outcome.RETRYING, Outcome.DELIVERED, Outcome.DELIVERED]
    assert [accounts(subject.url, id_)[0]["userName"] for id_ in ("1", "2")] == ["user2", "user1"]


async def test_one_whose_name_another_keeps_waits_under_its_own(subject: Scim, there: Destination) -> None:
    made = await there.apply([subject.delivery(id_, 1) for id_ in ("1", "2")])
    wants = subject.delivery("1", 2, {"userName": "user2"}, local_id=made[0].local_id)

    outcomes = [(await there.apply([wants]))[0].outcome for _ in range(3)]

    assert outcomes == [Outcome.RETRYING] * 3
    assert [accounts(subject.url, id_)[0]["userName"] for id_ in ("1", "2")] == ["user1", "user2"]
