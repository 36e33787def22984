"""The same news over two paths reaches each destination once, and what was saved is counted.

A student information system that exports a file at night and posts a webhook by day is two systems here,
`sis` and `hook`; what is told to `idp` may be handed on to `lms` by an integration of their own.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from simulation.by_hand import empty_town, event, records, say
from simulation.clock import START_MS
from simulation.district import make_district
from simulation.life import Life
from simulation.world import EPOCH, Town

from bus.messages import Event
from router.core.rules import (
    DestinationEntity,
    DestinationRule,
    EntityRule,
    FieldRule,
    Period,
    SourceEntity,
    SourceRule,
    SystemRule,
    Term,
    Type,
)
from router.pipeline import build
from router.services.audit import commands

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
FIELDS = ("number", "name")
BOTH = (Period(systems=("sis", "hook")),)
STUDENT = EntityRule(
    name="student",
    owner="sis",
    fields={
        "number": FieldRule(name="number", type=Type.TEXT, owner="sis"),
        "name": FieldRule(name="name", type=Type.TEXT, owner="", owners=BOTH, ties="latest"),
    },
    match=(("number",),),
    two_way=frozenset({"idp", "lms"}),
)


def system(name: str, *, tells: bool = True, is_told: bool = True) -> SystemRule:
    terms = tuple(Term(field=each, text=each, column=each) for each in FIELDS)
    source = SourceEntity(entity="student", table="student", id_field="id", terms=terms)
    destination = DestinationEntity(entity="student", table="student", id_field="id", terms=terms)
    return SystemRule(
        name=name,
        title="",
        file="",
        source=SourceRule(adapter="simulated", settings={}, entities={"student": source}) if tells else None,
        destination=DestinationRule(adapter="simulated", settings={}, entities={"student": destination})
        if is_told
        else None,
    )


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        told = {name: system(name) for name in ("idp", "lms")}
        told["files"] = system("files", tells=False)
        tells = {name: system(name, is_told=False) for name in ("sis", "hook")}
        town.district = replace(
            make_district(town.chance), entities={"student": STUDENT}, systems={**told, **tells}
        )
        town.scripts = {name: [] for name in ("sis", "hook", "idp", "lms")}
        lived(town, says("sis", 0, number="77", name="Ada"), says("hook", 1, "h1", number="77", name="Ada"))
        for far in town.fars.values():
            far.sent.clear()
        yield town


def says(who: str, at_ms: int, local_id: str = "1", **fields: str) -> Event:
    return event(local_id, system=who, at_ms=START_MS + at_ms, **fields)


def lived(town: Town, *events: Event) -> None:
    """The events come, each in its time, and are seen through: deliveries included."""
    for each in events:
        town.loop.pass_time(max(each.observed_at_ms - START_MS - town.loop.time() * 1000, 0) / 1000)
        say(town, each)
    town.loop.pass_time(60)
    assert town.live()


def sent(town: Town) -> dict[str, int]:
    """How often anything was written to each destination."""
    return {name: sum(far.sent.values()) for name, far in town.fars.items()}


def counted(town: Town, since_s: int = 30 * 86_400) -> dict[str, Any]:
    """What `audit duplicates` answers."""

    async def ask() -> bytes:
        life = Life(99, town.loop, town.trace, lambda name: False)
        async with build(town.district, town._world(life), EPOCH) as pipeline:
            [command] = commands(pipeline, town.loop.now_ms)
            return await command.answer("kim", json.dumps({"since_s": since_s}).encode())

    answer = town.loop.run(asyncio.wait_for(ask(), 60))
    assert answer is not None
    return dict(json.loads(answer))


ONCE_EACH = {"idp": 1, "lms": 1, "files": 1}


@pytest.mark.parametrize("first", ["sis", "hook"])
def test_news_of_a_file_and_of_a_webhook_days_apart_is_sent_once(town: Town, first: str) -> None:
    ids = {"sis": "1", "hook": "h1"}
    second = "hook" if first == "sis" else "sis"
    lived(town, says(first, DAY_MS, ids[first], number="77", name="Bea"))
    lived(town, says(second, 4 * DAY_MS, ids[second], number="77", name="Bea"))

    assert records(town)["student/1"].values["name"] == "Bea"
    assert sent(town) == ONCE_EACH
    [line] = [each for each in counted(town)["events"] if each["system"] == second]
    assert line["second_paths"] == 1


def test_an_older_file_between_the_two_takes_nothing_back(town: Town) -> None:
    lived(town, says("hook", DAY_MS, "h1", number="77", name="Bea"))
    lived(town, says("sis", DAY_MS + HOUR_MS, number="77", name="Ada"))  # exported before it was typed
    lived(town, says("sis", 2 * DAY_MS, number="77", name="Bea"))

    assert records(town)["student/1"].values["name"] == "Bea"
    assert sent(town) == ONCE_EACH


def test_what_one_system_hands_on_to_another_reaches_it_once(town: Town) -> None:
    lived(town, says("idp", HOUR_MS, number="77", name="Ada"), says("lms", HOUR_MS, number="77", name="Ada"))
    before = sent(town)
    # lms has it from idp, and says so before we have told it
    say(town, says("sis", DAY_MS, number="77", name="Bea"), says("lms", DAY_MS, number="77", name="Bea"))
    town.loop.pass_time(DAY_MS / 1000)
    assert town.live()
    lived(town, says("idp", 2 * DAY_MS, number="77", name="Bea"))

    after = sent(town)
    assert {name: after[name] - before[name] for name in after} == {"idp": 1, "lms": 0, "files": 1}


def test_what_comes_back_from_those_who_were_told_is_counted_as_an_echo(town: Town) -> None:
    lived(town, says("idp", HOUR_MS, number="77", name="Ada"))
    lived(town, says("sis", DAY_MS, number="77", name="Bea"))
    lived(
        town,
        says("idp", 2 * DAY_MS, number="77", name="Bea"),
        says("idp", 3 * DAY_MS, number="77", name="Bea"),
    )

    assert sent(town)["idp"] == 1
    [line] = [each for each in counted(town)["events"] if each["system"] == "idp"]
    assert (line["echoes"], line["repeats"]) == (1, 1)


def test_revs_that_nobody_had_to_be_told_are_counted_once_each(town: Town) -> None:
    before = superseded(town)
    say(town, *[says("sis", HOUR_MS + at, number="77", name=f"B{at}") for at in range(5)])
    town.loop.pass_time(2 * HOUR_MS / 1000)
    assert town.live()
    audit = town.server.streams["AUDIT"]
    told_twice = [stored for stored in audit.history if stored.subject.startswith("audit.delivery.")]
    for stored in told_twice:  # as after a rebuild
        audit._store(stored._replace(id=f"{stored.id}/x"), town.loop.now_ms())  # type: ignore[arg-type]

    assert sent(town) == ONCE_EACH
    assert superseded(town) == {name: count + 4 for name, count in before.items()}


def superseded(town: Town) -> dict[str, int]:
    return {each["system"]: each["superseded"] for each in counted(town)["deliveries"]}


def test_only_what_is_new_enough_is_counted_and_it_says_since_when_all_is_there(town: Town) -> None:
    lived(town, says("hook", 5 * DAY_MS, "h1", number="77", name="Ada"))
    whole, part = counted(town), counted(town, since_s=3600)
    audit = town.server.streams["AUDIT"]
    for seq in list(audit.messages)[:2]:
        del audit.messages[seq]

    assert [each["system"] for each in part["events"]] == ["hook"]
    assert len(whole["events"]) >= len(part["events"])
    assert (whole["complete"], part["complete"]) == (True, True)
    assert (counted(town)["complete"], counted(town, since_s=3600)["complete"]) == (False, True)


def test_a_request_that_is_none_is_said_to_be_none(town: Town) -> None:
    with pytest.raises(Exception, match="since_s: expected a whole number"):
        counted(town, since_s=0)
