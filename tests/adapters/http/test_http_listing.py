"""What an HTTP destination lists of what a system has: all of it, or nothing."""

from typing import Any

import pytest
from conformance.subjects import Http
from pydantic import ValidationError
from record_server import Tenant, says

from adapters.http import Settings
from bus.errors import Unavailable

EACH_WAY: dict[str, dict[str, Any]] = {
    "link": {"next": "link"},
    "page": {"next": "page", "param": "page"},
    "offset": {"next": "offset", "param": "offset"},
    "cursor": {"next": "cursor", "param": "cursor", "cursor": "next"},
}


def filled(tenant: Tenant, count: int) -> None:
    tenant.table().update({f"{n}": {"id": f"{n}", "name": f"Ada {n}"} for n in range(count)})


async def listed(subject: Http, **how: Any) -> list[str]:
    there = subject.make(table={"list": {"records": "data", **how}})
    try:
        return [each.local_id async for page in there.listing("student") for each in page]
    finally:
        await there.close()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 6])
@pytest.mark.parametrize("way", EACH_WAY)
async def test_all_pages_are_read_in_each_way_of_asking_for_them(
    subject: Http, tenant: Tenant, way: str, count: int
) -> None:
    filled(tenant, count)

    assert await listed(subject, total="total", **EACH_WAY[way]) == [f"{n}" for n in range(count)]


async def test_a_system_that_gives_all_at_once_is_asked_once(subject: Http, tenant: Tenant) -> None:
    filled(tenant, 2)

    assert await listed(subject) == ["0", "1"]
    assert len(tenant.asked) == 1


async def test_what_is_less_than_the_system_says_is_no_list(subject: Http, tenant: Tenant) -> None:
    filled(tenant, 3)

    with pytest.raises(Unavailable, match=r"students is not whole: 2 of 3 were given"):
        await listed(subject, total="total")


async def test_a_list_that_moves_while_it_is_read_is_no_list(subject: Http, tenant: Tenant) -> None:
    filled(tenant, 3)

    async def first(request: Any, go: Any) -> Any:
        answer = await go()
        tenant.tables["students"] = {"new": {"id": "new"}, **tenant.table()}
        return answer

    tenant.spoil("GET", first)
    with pytest.raises(Unavailable, match=r"1 records were there twice"):
        await listed(subject, **EACH_WAY["page"])


async def test_a_page_that_fails_leaves_no_half_a_list(subject: Http, tenant: Tenant) -> None:
    filled(tenant, 3)

    async def down(request: Any, go: Any) -> Any:
        return says(503, {})

    tenant.spoil("GET", down, "students")
    with pytest.raises(Unavailable, match=r"503"):
        await listed(subject, **EACH_WAY["link"])


async def test_no_token_goes_to_another_address_that_an_answer_names(subject: Http, tenant: Tenant) -> None:
    filled(tenant, 1)

    async def elsewhere(request: Any, go: Any) -> Any:
        return says(200, {"data": [{"id": "1"}]}, Link='<http://127.0.0.1:9/students?cursor=2>; rel="next"')

    tenant.spoil("GET", elsewhere)
    with pytest.raises(Unavailable, match=r"its next page is at another address"):
        await listed(subject, **EACH_WAY["link"])


async def test_an_answer_that_has_no_list_where_it_should_be_is_said_so(
    subject: Http, tenant: Tenant
) -> None:
    with pytest.raises(Unavailable, match=r"people is no list of records"):
        await listed(subject, records="people")


async def test_only_tables_with_a_list_can_be_compared(subject: Http) -> None:
    without, with_one = subject.make(table={}), subject.make(table={"list": {}})

    assert (list(without.listed), list(with_one.listed)) == ([], ["student"])
    await without.close()
    await with_one.close()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"path": "{path}/{id}"}, "only {path} can stand in that of a list"),
        ({"next": "page"}, "param: is missing"),
        ({"next": "cursor", "param": "after"}, "cursor: goes with next: cursor"),
    ],
)
def test_settings_of_a_list_that_cannot_be_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Settings.model_validate({"url": "http://lms", "tables": {"students": {"list": wrong}}})
