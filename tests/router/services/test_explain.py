"""A record as it is, or was: found by what people know of it, with the terms and conflicts of that time."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bus import subjects
from bus.codec import encode_conflict, encode_event
from bus.errors import BusError
from bus.jetstream import JetStream
from bus.messages import Conflict, Event, Op, Value
from bus.port import Message
from router.core.rules import District, EntityRule, FieldRule, Guards, Period, SystemRule, Type
from router.daemon import world_of
from router.pipeline import Pipeline, build
from router.services.explain import commands

DAY_MS = 86_400_000
CHICAGO_NOON = "2026-11-24T12:00"
NOW_MS = int(datetime.fromisoformat(f"{CHICAGO_NOON}-06:00").timestamp() * 1000)


def sis(name: str, **also: Any) -> FieldRule:
    return FieldRule(name=name, type=also.pop("type", Type.TEXT), owner="sis", **also)


TERM = EntityRule(
    name="term", owner="sis", fields={n: sis(n, type=Type.DATE) for n in ("startDate", "endDate")}
)
STUDENT = EntityRule(
    name="student",
    owner="sis",
    fields={
        "name": sis("name"),
        "email": sis("email", search=True),
        "term": sis("term", type=Type.REFERENCE, to=("term",)),
        "badge": FieldRule(
            name="badge",
            type=Type.TEXT,
            owner="",
            owners=(Period(systems=("lms",), during="term"), Period(systems=("sis",))),
        ),
    },
)
DISTRICT = District(
    name="explained",
    timezone="America/Chicago",
    key=b"the district's key",
    nats_url="",
    nats_credentials="",
    replicas=1,
    guards=Guards(),
    entities={"term": TERM, "student": STUDENT},
    systems={name: SystemRule(name=name, title="", file="", source=None) for name in ("sis", "lms")},
    digest="1",
)


class Place:
    """A pipeline whose clock is set by hand."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS
        self.pipeline: Pipeline
        self._said = 0

    async def says(self, entity: str, local_id: str, **fields: Value) -> None:
        self._said += 1
        event = Event(f"{self._said}", "sis", entity, Op.UPDATE, local_id, fields, True, self.now_ms)
        message = Message(subjects.event("sis", entity, Op.UPDATE), encode_event(event), event.id)
        await self.pipeline.bus.publish(subjects.EVENTS, [message])
        await self.pipeline.intake.catch_up()

    async def explain(self, record: str, at: str = "") -> dict[str, Any]:
        (command,) = commands(self.pipeline, lambda: self.now_ms)
        answer: dict[str, Any] = json.loads(
            await command.answer("kim", json.dumps({"record": record, "at": at}).encode())
        )
        return answer


@pytest.fixture
async def place(bus: JetStream, tmp_path: Path) -> AsyncIterator[Place]:
    place = Place()
    world = replace(world_of(bus, tmp_path), now_ms=lambda: place.now_ms)
    async with build(DISTRICT, world, 1) as place.pipeline:
        yield place


async def test_a_person_finds_records_by_a_field_that_may_be_searched(place: Place) -> None:
    await place.says("student", "1", name="Ada", email="Ada@x.org")
    await place.says("student", "2", name="Bea", email="bea@x.org")

    assert (await place.explain(" ada@X.org "))["key"] == "student/1"

    await place.says("student", "2", name="Bea", email="ada@x.org")
    assert (await place.explain("ada@x.org"))["hits"] == ["student/1", "student/2"]
    for name in ("bea@x.org", "Ada"):  # it has another one now; and names may not be searched
        with pytest.raises(BusError, match="no record has that name"):
            await place.explain(name)


async def test_a_time_without_a_zone_is_the_districts(place: Place) -> None:
    await place.says("student", "1", name="Ada")
    place.now_ms += DAY_MS
    await place.says("student", "1", name="Bea")

    for at in (CHICAGO_NOON, "2026-11-24T18:00Z"):
        assert (await place.explain("student/1", at))["fields"]["name"]["value"] == "Ada"
    with pytest.raises(BusError, match=r"the oldest change kept is of 2026-11-24 12:00:00-06:00"):
        await place.explain("student/1", "2026-11-24T11:59")
    with pytest.raises(BusError, match="is no time"):
        await place.explain("student/1", "yesterday")


async def test_who_decided_then_is_told_by_the_terms_of_then(place: Place) -> None:
    await place.says("term", "t", startDate="2026-08-20", endDate="2026-12-20")
    await place.says("student", "1", name="Ada", term="t")
    place.now_ms += DAY_MS
    await place.says("term", "t", startDate="2026-08-20", endDate="2026-10-01")

    assert (await place.explain("student/1"))["fields"]["badge"]["owners"] == ["sis"]
    then = await place.explain("student/1", CHICAGO_NOON)
    assert (then["fields"]["badge"]["owners"], then["terms_unknown"]) == (["lms"], [])
    await place.says("student", "2", name="Bea", term="later")
    place.now_ms += DAY_MS
    await place.says("term", "later", startDate="2026-08-20", endDate="2026-12-20")
    then = await place.explain("student/2", "2026-11-25T13:00")
    assert (then["fields"]["badge"]["owners"], then["terms_unknown"]) == (["sis"], ["?/later"])


async def test_what_is_no_name_of_a_record_is_answered_with_what_would_be_one(place: Place) -> None:
    with pytest.raises(BusError, match="expected entity/id"):
        await place.explain("/")


async def test_a_conflict_is_shown_from_when_it_was_and_not_before(place: Place) -> None:
    await place.says("student", "1", name="Ada")
    at_ms = place.now_ms + DAY_MS
    sides = ("lms", ("Eda",), 2, at_ms, "sis", ("Ada",), 1, at_ms)
    body = encode_conflict(Conflict("student/1", ("name",), *sides, "owner", "sis"), {})
    store = place.pipeline.store
    await store.commit([store.write("save_conflicts", [("c1", "student/1", at_ms, "settled", body)])])

    before = await place.explain("student/1", CHICAGO_NOON)
    after = await place.explain("student/1", "2026-11-25T12:00")

    assert before["fields"]["name"]["conflict"] is None
    assert after["fields"]["name"]["conflict"]["id"] == "c1"
