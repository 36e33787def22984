"""What is asked of a system is what its settings say, and no more than is needed."""

import pytest
from conformance.subjects import Http, HttpOwnIds
from pydantic import ValidationError
from record_server import CLIENT, TOKEN, Tenant, answering

from adapters.http import Destination, Settings
from bus.errors import ConfigError, Unavailable
from bus.messages import Op, Outcome, Version


async def test_a_record_goes_to_its_place_with_its_version(subject: Http, tenant: Tenant) -> None:
    there = subject.make(table={}, headers={"X-Tenant": "north"})

    [receipt] = await there.apply([subject.delivery("a b/c", 7, {"name": "Ada"})])
    await there.close()

    [asked] = tenant.asked
    assert receipt.outcome is Outcome.DELIVERED
    assert (asked.method, asked.body) == ("PUT", {"id": "a b/c", "name": "Ada"})
    assert asked.path == "/students/a b/c"  # as the server decodes it
    assert asked.headers["x-yellowbus-version"] == str(Version(1, 7).number)
    assert asked.headers["x-tenant"] == "north"
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"


async def test_an_id_cannot_lead_out_of_its_table(subject: Http, tenant: Tenant) -> None:
    there = subject.make(table={})

    [receipt] = await there.apply([subject.delivery("..", 1)])
    await there.close()

    assert (receipt.outcome, tenant.asked) == (Outcome.FAILED, [])


async def test_a_dot_in_a_field_is_a_level_of_the_body(subject: Http, tenant: Tenant) -> None:
    there = subject.make(table={"body": {"user": {"kind": "student"}}})

    await there.apply([subject.delivery("1", 1, {"name": "A", "user.login": "ada", "user.tags": ("x",)})])
    await there.close()

    assert tenant.asked[0].body["user"] == {"kind": "student", "login": "ada", "tags": ["x"]}


async def test_the_version_may_go_along_in_the_body_and_a_newer_one_is_left_alone(
    subject: Http, tenant: Tenant
) -> None:
    there = subject.make(version_header="", version_field="version")

    await there.apply([subject.delivery("1", 2)])
    again, older, newer = [
        (await there.apply([subject.delivery("1", seq, subject.fields("1", text))]))[0].outcome
        for seq, text in ((3, "Ada"), (1, "older"), (4, "newer"))
    ]
    await there.close()

    assert (again, older, newer) == (Outcome.UNCHANGED, Outcome.SUPERSEDED, Outcome.DELIVERED)
    assert tenant.table()["1"]["version"] == Version(1, 4).number
    assert "x-yellowbus-version" not in tenant.asked[0].headers


async def test_if_match_goes_along_where_the_server_gave_an_etag(
    subject: Http, there: Destination, tenant: Tenant
) -> None:
    await there.apply([subject.delivery("1", 1)])
    await there.apply([subject.delivery("1", 2, subject.fields("1", "new"))])

    assert [each.headers.get("if-match") for each in tenant.asked if each.method != "GET"] == [None, '"1"']


async def test_a_weak_etag_compares_nothing(subject: Http, there: Destination, tenant: Tenant) -> None:
    tenant.spoil("GET", answering(200, '{"name": "old"}', ETag='W/"1"'))
    tenant.table()["1"] = {"name": "old"}

    await there.apply([subject.delivery("1", 1)])

    assert "if-match" not in tenant.asked[-1].headers


async def test_an_etag_of_a_search_is_not_that_of_the_record(own_ids: HttpOwnIds) -> None:
    there, tenant = own_ids.make(), own_ids.tenant
    tenant.table()["own 1"] = {"id": "own 1", "external_id": "1"}
    tenant.spoil("GET", answering(200, '{"data": [{"id": "own 1"}]}', ETag='"1"'))

    await there.apply([own_ids.delivery("1", 1)])
    await there.close()

    assert tenant.writes == ["PATCH /students/own 1"]
    assert "if-match" not in tenant.asked[-1].headers


async def test_no_more_requests_are_under_way_than_allowed(subject: Http, tenant: Tenant) -> None:
    there = subject.make(concurrent=3)

    await there.apply([subject.delivery(f"{n}", n) for n in range(1, 20)])
    await there.close()

    assert 1 < tenant.at_once_max <= 3


# -- a system that cannot be looked into


async def test_without_read_an_update_of_what_is_not_there_makes_it(subject: Http, tenant: Tenant) -> None:
    there = subject.make(table={"create": "PUT {path}/{id}", "update": "PATCH {path}/{id}"})

    receipts = [
        *await there.apply([subject.delivery("1", 1)]),
        *await there.apply([subject.delivery("1", 2)]),
    ]
    await there.close()

    assert [receipt.outcome for receipt in receipts] == [Outcome.DELIVERED] * 2
    assert tenant.writes == ["PATCH /students/1", "PUT /students/1", "PATCH /students/1"]


async def test_without_read_and_its_own_id_a_record_is_made(own_ids: HttpOwnIds) -> None:
    table = {**own_ids.table}
    del table["read"]
    there, tenant = own_ids.make(table=table), own_ids.tenant

    [made] = await there.apply([own_ids.delivery("1", 1)])
    [updated] = await there.apply([own_ids.delivery("1", 2, local_id=made.local_id)])
    [unknown] = await there.apply([own_ids.delivery("1", 3, op=Op.DELETE)])
    [gone] = await there.apply([own_ids.delivery("1", 3, op=Op.DELETE, local_id=made.local_id)])
    [gone_already] = await there.apply([own_ids.delivery("1", 3, op=Op.DELETE, local_id=made.local_id)])
    await there.close()

    assert (made.local_id, made.outcome, updated.outcome) == ("own 1", Outcome.DELIVERED, Outcome.DELIVERED)
    assert (unknown.outcome, gone.outcome, gone_already.outcome) == (
        Outcome.FAILED,
        Outcome.DELIVERED,
        Outcome.UNCHANGED,
    )
    assert tenant.writes[:2] == ["POST /students", "PATCH /students/own 1"]


async def test_a_deactivation_says_what_the_settings_say(subject: Http, tenant: Tenant) -> None:
    table = {"deactivate": "PUT {path}/{id}", "deactivate_body": {"name": "-", "state": {"on": False}}}
    there = subject.make(table=table)

    await there.apply([subject.delivery("1", 2, op=Op.DELETE, deactivate=True)])
    await there.close()

    assert (tenant.writes, tenant.asked[0].body) == (["PUT /students/1"], table["deactivate_body"])


# -- credentials


async def test_a_token_may_stand_in_another_header(subject: Http, tenant: Tenant) -> None:
    there = subject.make(token="k", token_header="X-Api-Key", table={})

    with pytest.raises(Unavailable):
        await there.apply([subject.delivery("1", 1)])
    await there.close()

    assert tenant.asked[0].headers["x-api-key"] == "k"
    assert "authorization" not in tenant.asked[0].headers


def oauth2(subject: Http, send_in: str = "header", secret: str = CLIENT[1]) -> Destination:
    client = {"client_id": CLIENT[0], "client_secret": secret, "send_in": send_in, "scope": "records"}
    return subject.make(token=None, oauth2={"token_url": f"{subject.url}/token", **client})


def tokens_asked(tenant: Tenant) -> int:
    return sum(each.path == "/token" for each in tenant.asked)


@pytest.mark.parametrize("send_in", ["header", "body"])
async def test_one_token_is_asked_for_and_used_by_all(subject: Http, tenant: Tenant, send_in: str) -> None:
    there = oauth2(subject, send_in)

    receipts = await there.apply([subject.delivery(f"{n}", n) for n in range(1, 9)])
    await there.close()

    assert {receipt.outcome for receipt in receipts} == {Outcome.DELIVERED}
    assert tokens_asked(tenant) == 1
    assert "scope=records" in tenant.asked[0].body


async def test_a_token_is_renewed_before_it_ends(subject: Http, tenant: Tenant) -> None:
    tenant.token_lasts_s = 0
    there = oauth2(subject)

    await there.apply([subject.delivery("1", 1)])
    await there.close()

    assert tokens_asked(tenant) == len(tenant.asked) / 2


async def test_a_token_that_is_refused_is_renewed_once(subject: Http, tenant: Tenant) -> None:
    there = oauth2(subject)
    await there.apply([subject.delivery("1", 1)])
    tenant.tokens = set()

    receipts = await there.apply([subject.delivery(f"{n}", n) for n in range(2, 6)])
    renewed = tokens_asked(tenant)
    tenant.spoil("GET", answering(401))
    tenant.spoil("GET", answering(401))
    with pytest.raises(Unavailable) as raised:
        await there.apply([subject.delivery("9", 9)])
    await there.close()

    assert {receipt.outcome for receipt in receipts} == {Outcome.DELIVERED}
    assert renewed == 2
    assert raised.value.runbook == "token-refused"


async def test_a_refused_client_is_unavailable_with_its_runbook(subject: Http) -> None:
    there = oauth2(subject, secret="yesterday's")

    with pytest.raises(Unavailable, match="the client was refused") as raised:
        await there.check()
    await there.close()

    assert raised.value.runbook == "token-refused"
    assert "yesterday" not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "body"), [(500, ""), (302, ""), (200, "<html>"), (200, "{}"), (200, '{"access_token": 7}')]
)
async def test_a_token_server_that_gives_none_is_unavailable(
    subject: Http, tenant: Tenant, status: int, body: str
) -> None:
    there = oauth2(subject)
    tenant.spoil("POST", answering(status, body), "/token")

    with pytest.raises(Unavailable, match="/token") as raised:
        await there.apply([subject.delivery("1", 1)])
    await there.close()

    assert raised.value.runbook == "http-unavailable"


# -- settings


@pytest.mark.parametrize(
    "table",
    [
        {"update": "PUT"},
        {"update": "GET {path}"},
        {"update": "PUT {path}/{student}"},
        {"read": "{path}/{key}"},
        {"path": "students"},
        {"batch": {"path": "/batch", "size": 0}},
    ],
)
def test_settings_that_cannot_be_are_refused(table: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"url": "http://x", "tables": {"students": table}})


def test_a_table_that_no_entity_goes_to_is_refused(subject: Http) -> None:
    with pytest.raises(ConfigError, match="no entity goes to student"):
        subject.make(tables={"student": {}})
