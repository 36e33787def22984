"""A SCIM service as a source: all of its accounts or nothing, in front of a real scim2-server."""

import json
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
from conformance.faults import answer, error
from conformance.scim_server import TOKEN, call, make_account
from conformance.subjects import Scim

from adapters.contract.proxy import Fault, Proxy, cut_before, cut_in_answer
from adapters.scim import Source, SourceSettings
from bus.adapter import EntityShape, Surroundings
from bus.errors import ConfigError, Refused, Unavailable

NOW_MS = 1_795_577_000_000
COLUMNS = ("id", "externalId", "userName", "name.givenName", "emails.work", "active")
SHAPE = EntityShape("student", "Users", "id", tuple((name, "text") for name in COLUMNS))

Rows = dict[str, list[dict[str, str]]]


class Clock:
    """A clock that only `sleep` moves; `slept` has for how long each time."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS
        self.slept: list[float] = []

    async def sleep(self, delay_s: float, /) -> None:
        self.slept.append(delay_s)
        self.now_ms += int(delay_s * 1000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


Make = Callable[..., Source]


@pytest.fixture
async def make(tmp_path: Path, proxy: Proxy, clock: Clock) -> AsyncGenerator[Make, None]:
    made: list[Source] = []

    def source(*shapes: EntityShape, token: str = TOKEN, **settings: Any) -> Source:
        given = SourceSettings.model_validate({"url": proxy.url, "token": token, "page": 4, **settings})
        around = Surroundings(
            system="idp",
            state=tmp_path,
            now_ms=lambda: clock.now_ms,
            sleep=clock.sleep,
            entities=shapes or (SHAPE,),
        )
        made.append(Source(given, around))
        return made[-1]

    yield source
    for each in made:
        await each.close()
        await each.close()  # twice is fine


def accounts(subject: Scim, count: int) -> list[dict[str, Any]]:
    return [make_account(subject.url, userName=f"user{n}", externalId=f"{n}") for n in range(count)]


async def taken(source: Source) -> Rows:
    """The next reading's rows by table. Raises Refused."""
    readings = source.read()
    try:
        reading = await anext(readings)
        await reading.open()
        assert reading.full
        return {t: [row.values async for part in reading.rows(t) for row in part] for t in reading.tables}
    finally:
        await readings.aclose()


# -- what is read


async def test_every_account_is_read_with_the_attributes_that_are_mapped(subject: Scim, make: Make) -> None:
    make_account(
        subject.url,
        userName="ada",
        externalId="1",
        active=False,
        name={"givenName": "Ada"},
        emails=[{"type": "home", "value": "h@x.org"}, {"type": "work", "value": "w@x.org"}],
    )
    bare = make_account(subject.url, userName="bob")

    rows = {row["userName"]: row for row in (await taken(make()))["Users"]}

    assert rows["ada"] | {"id": ""} == {
        "id": "",
        "externalId": "1",
        "userName": "ada",
        "name.givenName": "Ada",
        "emails.work": "w@x.org",
        "active": "false",
    }
    assert (rows["bob"]["id"], rows["bob"]["emails.work"], rows["bob"]["externalId"]) == (bare["id"], "", "")


async def test_all_pages_come_each_account_once(subject: Scim, make: Make, proxy: Proxy) -> None:
    made = accounts(subject, 11)

    rows = (await taken(make()))["Users"]

    assert sorted(row["id"] for row in rows) == sorted(each["id"] for each in made)
    assert len(proxy.requests) == 4  # 4 + 3 + 3 + 1: each page begins with the last of the one before


async def test_a_service_without_accounts_is_a_whole_reading(subject: Scim, make: Make) -> None:
    assert await taken(make()) == {"Users": []}


async def test_groups_are_read_with_their_members(subject: Scim, make: Make) -> None:
    ids = [each["id"] for each in accounts(subject, 2)]
    schema = "urn:ietf:params:scim:schemas:core:2.0:Group"
    members = [{"value": id_} for id_ in ids]
    body = {"schemas": [schema], "displayName": "Algebra 1", "members": members}
    call(f"{subject.url}/Groups", "POST", body)
    columns = (("id", "text"), ("displayName", "text"), ("members", "list"))

    rows = await taken(make(SHAPE, EntityShape("class", "Groups", "id", columns)))

    [group] = rows["Groups"]
    assert (group["displayName"], group["members"].split(",")) == ("Algebra 1", ids)
    assert len(rows["Users"]) == 2


def listed(*resources: dict[str, Any], total: int | None = None) -> Fault:
    """A page of our own making instead of the service's."""
    return answer(200, json.dumps({"totalResults": total or len(resources), "Resources": list(resources)}))


async def test_30_a_clock_that_is_wrong_there_hides_nothing_and_attributes_may_be_in_any_case(
    subject: Scim, make: Make, proxy: Proxy
) -> None:
    future = {"META": {"lastModified": "2199-01-01T00:00:00Z"}}
    proxy.spoil("GET", listed({"ID": "1", "USERNAME": "before", **future}))
    proxy.spoil("GET", listed({"ID": "1", "USERNAME": "after", **future}))
    source = make()

    before, after = [(await taken(source))["Users"][0]["userName"] for _ in range(2)]

    assert (before, after) == ("before", "after")


async def test_it_is_observed_when_the_look_began_and_the_next_begins_on_time(
    subject: Scim, make: Make, clock: Clock, proxy: Proxy
) -> None:
    readings = make(every="5m").read()
    first_ = await anext(readings)
    clock.now_ms += 40_000  # what was done with it took its time
    second = await anext(readings)
    clock.now_ms -= 3_600_000  # and somebody set the clock back
    third = await anext(readings)
    await readings.aclose()

    assert first_.observed_at_ms == NOW_MS
    assert second.observed_at_ms == NOW_MS + 300_000
    assert clock.slept == [260.0, 300.0]
    assert first_.name == "Users 2026-11-25T03:23:20Z"
    assert third.observed_at_ms < second.observed_at_ms


# -- fault 15: the list moves while it is read


async def test_15_a_list_that_moves_while_it_is_read_is_read_again(
    subject: Scim, make: Make, proxy: Proxy
) -> None:
    accounts(subject, 9)
    before = ({"id": each, "userName": each} for each in "abcd")  # as many as now, and others
    proxy.spoil("GET", listed(*before, total=9), "startIndex=1&")

    rows = (await taken(make()))["Users"]

    assert sorted(row["userName"] for row in rows) == sorted(
        each["userName"] for each in call(f"{subject.url}/Users")["Resources"]
    )
    assert sum("startIndex=1&" in request.path for request in proxy.requests) == 2


async def test_15_a_total_that_changes_is_read_again(subject: Scim, make: Make, proxy: Proxy) -> None:
    accounts(subject, 9)
    four = [{"id": each, "userName": each} for each in "abcd"]
    five = [{"id": each, "userName": each} for each in "defgh"]
    proxy.spoil("GET", listed(*four, total=7))
    proxy.spoil("GET", listed(*five, total=8))  # the last of before is its first: nothing has moved so far

    rows = (await taken(make()))["Users"]

    assert sorted(row["userName"] for row in rows) == [f"user{n}" for n in range(9)]
    assert sum("startIndex=1&" in request.path for request in proxy.requests) == 2


async def test_15_pages_that_overlap_give_each_account_once(subject: Scim, make: Make, proxy: Proxy) -> None:
    one, two, three = ({"id": each, "userName": each} for each in "abc")
    proxy.spoil("GET", listed(one, two, two, total=3))
    proxy.spoil("GET", listed(two, one, three, total=3))

    rows = (await taken(make()))["Users"]

    assert [row["id"] for row in rows] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (listed({"id": "a"}, {"id": "b"}, total=9), "moved while it was read"),
        (listed({"id": "a"}, total=5), "1 of 5 were given"),
        (listed(total=5), "0 of 5 were given"),
        (answer(200, '{"Resources": []}'), "without totalResults"),
        (listed({"userName": "a"}), "without an id"),
    ],
)
async def test_15_a_list_that_does_not_become_whole_is_refused(
    subject: Scim, make: Make, proxy: Proxy, fault: Fault, why: str
) -> None:
    accounts(subject, 9)
    if "moved" in why:
        for _ in range(3):
            proxy.spoil("GET", fault, "startIndex=1&")
    else:
        for _ in range(9):
            proxy.spoil("GET", fault)

    with pytest.raises(Refused, match=why) as refused:
        await taken(make())

    assert refused.value.code == "incomplete"
    assert "looked at again" in refused.value.reasons[0]


# -- fault 16: no answer in the middle of it


@pytest.mark.parametrize(
    ("fault", "runbook", "retry_after_s"),
    [
        (error(401), "token-refused", None),
        (error(403), "token-refused", None),
        (error(429, Retry_After="120"), "scim-unavailable", 120.0),
        (error(500), "scim-unavailable", None),
        (error(503, Retry_After="30"), "scim-unavailable", 30.0),
        (answer(200, "<html>"), "scim-unavailable", None),
        (cut_before, "scim-unavailable", None),
        (cut_in_answer, "scim-unavailable", None),
    ],
)
async def test_16_no_answer_in_the_middle_leaves_nothing_to_be_taken(
    subject: Scim,
    make: Make,
    proxy: Proxy,
    tmp_path: Path,
    fault: Fault,
    runbook: str,
    retry_after_s: float | None,
) -> None:
    accounts(subject, 9)
    proxy.spoil("GET", fault, "startIndex=7")
    source = make()

    with pytest.raises(Unavailable) as lost:
        await taken(source)

    assert (lost.value.runbook, lost.value.retry_after_s) == (runbook, retry_after_s)
    assert list(tmp_path.iterdir()) == []  # no account lies about on the disk
    assert len((await taken(source))["Users"]) == 9


# -- settings


@pytest.mark.parametrize(
    ("table", "column", "why"),
    [
        ("student", "id", "student is not read here"),
        ("Users", "emails", "emails is no attribute"),
        ("Users", "password", "password is not read"),
        ("Users", "meta.created", "meta.created is not read"),
        ("Groups", "userName", "userName is not read of a group"),
    ],
)
async def test_what_cannot_be_read_is_a_wrong_setting(make: Make, table: str, column: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        make(EntityShape("student", table, "id", (("id", "text"), (column, "text"))))


async def test_a_check_asks_for_each_resource(subject: Scim, make: Make, proxy: Proxy) -> None:
    await make().check()
    proxy.spoil("GET", error(404))
    with pytest.raises(ConfigError, match=r"/Users: 404\. See the url"):
        await make().check()
    with pytest.raises(Unavailable, match="the token was refused"):
        await make(token="yesterdays-token").check()
    proxy.spoil("GET", cut_before)
    with pytest.raises(Unavailable, match="no answer"):
        await make().check()
