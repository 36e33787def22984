"""The first-contact report says what the rules would do, of each record by its own term."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bus import subjects
from bus.codec import encode_event
from bus.jetstream import JetStream
from bus.messages import Event, Op, Value
from bus.port import Message
from router.contact import Contact
from router.core.rules import (
    DestinationEntity,
    DestinationRule,
    District,
    EntityRule,
    FieldRule,
    Guards,
    Period,
    SourceEntity,
    SourceRule,
    SystemRule,
    Term,
    Type,
)
from router.daemon import world_of
from router.pipeline import Pipeline, build
from router.services.adopt import commands

DAY_MS = 86_400_000
NOW_MS = 1_795_600_000_000
"""2026-11-25, in the year's term and after the summer's."""


def dated(name: str) -> FieldRule:
    return FieldRule(name=name, type=Type.DATE, owner="sis")


TERM = EntityRule(name="term", owner="sis", fields={name: dated(name) for name in ("startDate", "endDate")})
STATE = FieldRule(
    name="state",
    type=Type.TEXT,
    owner="",
    owners=(Period(systems=("lms",), during="term"), Period(systems=("sis",))),
)
ENROLLMENT = EntityRule(
    name="enrollment",
    owner="sis",
    fields={
        "term": FieldRule(name="term", type=Type.REFERENCE, owner="sis", to=("term",)),
        "state": STATE,
        "code": FieldRule(name="code", type=Type.TEXT, owner="sis"),
    },
    match=(("code",),),
    two_way=frozenset({"lms"}),
)
TERMS = (Term(field="state", text="state", column="state"),)
LMS = SystemRule(
    name="lms",
    title="",
    file="",
    source=SourceRule(
        adapter="webhook",
        settings={"path": "/contact", "secret": "a secret for nobody"},
        entities={
            "enrollment": SourceEntity(entity="enrollment", table="enrollment", id_field="id", terms=TERMS)
        },
    ),
    destination=DestinationRule(
        adapter="http",
        settings={"url": "http://127.0.0.1:9"},
        mode="observe",
        entities={
            "enrollment": DestinationEntity(
                entity="enrollment", table="enrollment", id_field="id", terms=TERMS
            )
        },
    ),
)
DISTRICT = District(
    name="contact",
    timezone="America/Chicago",
    key=b"the district's key",
    nats_url="",
    nats_credentials="",
    replicas=1,
    guards=Guards(),
    entities={"term": TERM, "enrollment": ENROLLMENT},
    systems={"sis": SystemRule(name="sis", title="", file="", source=None), "lms": LMS},
    digest="1",
)


@pytest.fixture
async def pipeline(bus: JetStream, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with build(DISTRICT, world_of(bus, tmp_path), 1) as pipeline:
        yield pipeline


async def said(pipeline: Pipeline, system: str, entity: str, local_id: str, **fields: Value) -> None:
    id_ = f"{system}.{entity}.{local_id}"
    event = Event(id_, system, entity, Op.UPDATE, local_id, fields, True, NOW_MS - DAY_MS)
    subject = subjects.event(system, entity, Op.UPDATE)
    await pipeline.bus.publish(subjects.EVENTS, [Message(subject, encode_event(event), id_)])


async def test_who_decides_is_told_by_each_records_own_term(pipeline: Pipeline) -> None:
    for id_, begin, end in (("year", "2026-08-20", "2027-06-10"), ("summer", "2026-06-15", "2026-08-01")):
        await said(pipeline, "sis", "term", id_, startDate=begin, endDate=end)
    for id_ in ("year", "summer"):
        await said(pipeline, "sis", "enrollment", f"in-{id_}", term=id_, code=id_, state="active")
        await said(pipeline, "lms", "enrollment", f"lms-{id_}", code=id_, state="withdrawn")
    await pipeline.intake.catch_up()

    lines = {line.key: line for line in Contact(pipeline, "lms", NOW_MS).page("record 0").lines}
    year, summer = lines["enrollment/in-year"], lines["enrollment/in-summer"]

    assert (year.stands, year.written) == (("state",), ())
    assert (summer.stands, summer.written) == ((), ("state",))


async def test_the_report_names_who_decides_during_a_term(pipeline: Pipeline) -> None:
    await said(pipeline, "sis", "enrollment", "1", term=None, code="1", state="active")
    await said(pipeline, "lms", "enrollment", "9", code="1", state="withdrawn")
    await pipeline.intake.catch_up()
    report = next(each for each in commands(pipeline, lambda: NOW_MS) if each.what == "adopt.report")

    answer = await report.answer("kim", b'{"system": "lms"}')

    assert b"lms during term" in answer and b'"sis"' in answer
