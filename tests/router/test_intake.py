"""EVENTS to CHANGES: what becomes of events that are odd, come again, or come in odd company."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from simulation.by_hand import alerts, empty_town, event, outcomes, records, say, say_raw, told
from simulation.clock import START_MS
from simulation.invariants import broken, changes
from simulation.world import Town

from bus.codec import encode_event
from bus.errors import YellowbusError
from bus.messages import Op, Outcome
from bus.port import Message
from router.core.rules import EntityRule
from router.deciding import PORTION


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        yield town


def test_an_event_of_the_owner_becomes_a_record(town: Town) -> None:
    say(town, event("1", name="Ada", grade="9"))

    assert town.live()
    assert records(town)["student/1"].values == {"name": "Ada", "grade": "9"}
    assert broken(town, by_script=False) == []


@pytest.mark.parametrize(
    ("subject", "body"),
    [
        ("event.sis.student.update", b"not ours"),
        ("event.sis.student.update", b""),
        ("event.sis.student", b"\x81\xa1v\x01"),
    ],
)
def test_garbage_is_settled_as_invalid_and_the_rest_goes_on(town: Town, subject: str, body: bytes) -> None:
    say_raw(town, subject, body)
    say(town, event("1", name="Ada"))

    assert town.live()
    assert outcomes(town) == [Outcome.INVALID, Outcome.ACCEPTED]
    assert alerts(town) == ["invalid-event"]


@pytest.mark.parametrize(
    "odd",
    [event("1", entity="bus", name="x"), event("1", system="nobody", name="x")],
    ids=["entity", "system"],
)
def test_an_event_of_an_unknown_kind_is_invalid(town: Town, odd: object) -> None:
    say(town, odd)  # type: ignore[arg-type]

    assert town.live()
    assert outcomes(town) == [Outcome.INVALID]


def test_an_event_whose_subject_names_another_system_is_invalid(town: Town) -> None:
    say_raw(town, "event.hr.student.update", encode_event(event("1", name="x")))

    assert town.live()
    assert outcomes(town) == [Outcome.INVALID]


def test_a_clock_that_runs_ahead_makes_nothing_after_it_stale(town: Town) -> None:
    say(town, event("1", at_ms=START_MS + 86_400_000, name="Ada"))
    town.loop.pass_time(60)
    say(town, event("1", at_ms=START_MS + 60_000, name="Bea"))

    assert town.live()
    assert records(town)["student/1"].values["name"] == "Bea"


def test_news_that_is_older_than_what_the_system_said_is_stale(town: Town) -> None:
    town.loop.pass_time(60)
    say(town, event("1", at_ms=START_MS + 2, name="Ada"), event("1", at_ms=START_MS + 1, name="Bea"))

    assert town.live()
    assert outcomes(town) == [Outcome.ACCEPTED, Outcome.STALE]
    assert records(town)["student/1"].values["name"] == "Ada"


def test_of_a_records_changes_in_one_batch_only_the_first_is_compared(town: Town) -> None:
    say(town, *[event("1", at_ms=START_MS + n, name=f"Ada {n}") for n in range(20)])
    town.loop.pass_time(60)

    assert town.live()
    assert [change.record.rev for change in changes(town)] == list(range(1, 21))
    assert town.server.streams["CHANGES"].violations == []


def test_a_removal_and_a_return_keep_the_key(town: Town) -> None:
    town.loop.pass_time(60)
    say(town, event("1", name="Ada"), event("1", op=Op.DELETE, at_ms=START_MS + 1))
    say(town, event("1", name="Ada", at_ms=START_MS + 2))

    assert town.live()
    assert [(c.record.key, c.op) for c in changes(town)] == [
        ("student/1", Op.CREATE),
        ("student/1", Op.DELETE),
        ("student/1", Op.CREATE),
    ]


def test_what_another_than_the_owner_says_of_a_new_record_is_noted(town: Town) -> None:
    town.loop.pass_time(60)
    say(town, event("1", name="Ada", badge="7"))

    assert town.live()
    assert told(town, "event/1").outcome is Outcome.ACCEPTED
    assert "first contact, differs in badge" in told(town, "event/1").reason
    assert "badge" not in records(town)["student/1"].values
    assert records(town)["student/1"].seen["sis"].said == {"badge": "7"}


def test_a_claim_of_another_than_the_owner_is_refused_and_remembered(town: Town) -> None:
    town.loop.pass_time(60)
    say(town, event("1", name="Ada", badge=None))
    town.loop.pass_time(60)
    say(town, event("1", name="Ada", badge="7"))
    town.loop.pass_time(60)
    say(town, event("1", name="Bea", badge="7"))

    assert town.live()
    assert told(town, "event/2").outcome is Outcome.REFUSED
    assert told(town, "event/2").fields == ("badge",)
    assert "badge" not in records(town)["student/1"].values
    assert records(town)["student/1"].seen["sis"].said == {"badge": "7"}
    assert records(town)["student/1"].seen["sis"].claims["badge"].event_seq == 2


def test_a_reference_to_something_unknown_is_kept_and_told(town: Town) -> None:
    say(town, event("e1", entity="enrollment", student="9", role="aide"))

    assert town.live()
    assert records(town)["enrollment/e1"].values["student"] == "?/9"
    assert "student" in told(town, "event/1").reason


class Raising(dict[str, object]):
    """The fields of an entity in which there is a bug."""

    def get(self, name: object, default: object = None) -> object:
        return 1 / 0 if name == "odd" else super().get(str(name), default)


def test_an_event_that_brings_out_a_bug_stops_the_router_twice_and_is_then_set_aside(town: Town) -> None:
    entities = dict(town.district.entities)
    rule = entities["staff"]
    entities["staff"] = EntityRule(name="staff", owner="hr", fields=Raising(rule.fields))  # type: ignore[arg-type]
    town.district = replace(town.district, entities=entities)
    say(town, event("t1", system="hr", entity="staff", odd="x"), event("1", name="Ada"))

    for _ in range(2):
        with pytest.raises(ExceptionGroup):
            town.live()
        town.loop.sweep()
    assert town.live()
    assert told(town, "event/1").outcome is Outcome.INVALID
    assert told(town, "event/1").reason == "bug: ZeroDivisionError"
    assert told(town, "event/2").outcome is Outcome.ACCEPTED


def test_another_writer_of_changes_stops_this_one(town: Town) -> None:
    store = town.server.store

    def contested(stream: str, messages: list[Message], *, atomic: bool) -> list[int]:
        if stream == "CHANGES":
            messages = [message._replace(expect_last=999) for message in messages]
        return store(stream, messages, atomic=atomic)

    town.server.store = contested  # type: ignore[assignment, method-assign]
    say(town, event("1", name="Ada"))

    with pytest.raises(ExceptionGroup) as stopped:
        town.live()
    town.loop.sweep()
    [error] = leaves(stopped.value)
    assert isinstance(error, YellowbusError)
    assert error.runbook == "two-routers"


def leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in leaves(each)]
    return [error]


def test_a_change_that_the_stream_has_let_go_is_not_decided_anew(town: Town) -> None:
    town.server.streams["CHANGES"].per_subject_max = 1
    town.loop.pass_time(60)
    say(town, event("1", name="Ada"), event("1", name="Bea", at_ms=START_MS + 1))
    town.live(lambda name: name == "commit index record")
    town.loop.pass_time(3600)

    assert town.live()
    assert [change.record.rev for change in changes(town)] == [1, 2]
    assert broken(town, by_script=False) == []


def test_an_event_before_a_change_that_stands_is_not_decided_by_newer_rules(town: Town) -> None:
    town.loop.pass_time(60)
    say(
        town,
        event("1", name="Ada"),
        event("1", badge="7", at_ms=START_MS + 1),
        event("1", name="Bea", at_ms=START_MS + 2),
    )
    town.live(lambda name: name == "commit index record")
    entities = dict(town.district.entities)
    fields = dict(entities["student"].fields)
    fields["badge"] = replace(fields["badge"], owner="sis")
    entities["student"] = replace(entities["student"], fields=fields)
    town.district = replace(town.district, entities=entities)

    assert town.live()
    assert [change.record.rev for change in changes(town)] == [1, 2]
    assert broken(town, by_script=False) == []


def test_a_batch_of_several_portions_builds_on_what_it_has_decided(town: Town) -> None:
    ids = [str(number) for number in range(2 * PORTION)]
    say(town, *[event(id_, name=f"student {id_}") for id_ in ids], event("0", at_ms=START_MS + 1, name="Ada"))
    assert town.live()
    assert [records(town)[f"student/{id_}"].rev for id_ in "01"] == [2, 1]

    edits = [event(id_, at_ms=START_MS + 2, name=f"pupil {id_}") for id_ in ids[: PORTION + 10]]
    again = [event(id_, at_ms=START_MS + 3, name=f"again {id_}") for id_ in "12"]
    gone = event("3", op=Op.DELETE, at_ms=START_MS + 3)
    back = event("3", at_ms=START_MS + 4, name="back")
    town.loop.call_later(500, lambda: say(town, *edits, *again, gone, back))  # it follows by then
    town.live(until_quiet=False, stop_after_s=1_000)

    assert any(f"publish CHANGES {PORTION + 14}:" in line for line in town.trace.lines), "in one batch"
    assert [records(town)[f"student/{id_}"].rev for id_ in "01234"] == [3, 3, 3, 4, 2]
    assert records(town)["student/3"].values["name"] == "back"
    assert broken(town, by_script=False) == []
