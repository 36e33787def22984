"""EVENTS to CHANGES with rubbish on both, and bugs of our own: the rest goes on, and is told once."""

from collections.abc import Iterator

import pytest
from simulation.by_hand import alerts, empty_town, event, outcomes, records, say, say_raw, told
from simulation.clock import START_MS
from simulation.invariants import broken, changes
from simulation.world import Town

from bus.codec import encode_change
from bus.messages import Change, Outcome
from bus.port import Message
from router import deciding as deciding_module


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        town.loop.pass_time(3600)
        yield town


def say_change(town: Town, *bodies: bytes) -> None:
    """Somebody else writes on CHANGES."""
    messages = [Message("change.student.nobody", body) for body in bodies]
    town.server.store("CHANGES", messages, atomic=False)


def troubles(town: Town) -> list[str]:
    return [line for line in town.trace.lines if "trouble:" in line]


# -- garbage on CHANGES


def test_garbage_on_changes_is_passed_over_and_everything_else_goes_on(town: Town) -> None:
    say(town, event("1", name="Ada"))
    assert not town.live(lambda name: name == "commit index record")
    say_change(town, b"not ours", b"\x81\xa1v\x01", b"")
    say(town, event("2", name="Bea"))

    assert town.live()
    assert set(town.fars["lms"].records) == {"student/1", "student/2"}
    assert outcomes(town) == [Outcome.ACCEPTED, Outcome.ACCEPTED]
    assert any("CHANGES 2: " in line and "passed over" in line for line in troubles(town))


def test_garbage_at_the_end_of_changes_keeps_nothing_from_its_destination(town: Town) -> None:
    say(town, event("1", name="Ada"))
    assert not town.live(lambda name: name == "commit index record")
    say_change(town, b"not ours")

    town.live(until_quiet=False, stop_after_s=60)
    assert set(town.fars["lms"].records) == {"student/1"}


# -- a bug of ours


@pytest.fixture
def bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every change of a student named Odd raises, when the decision is made already."""

    def encode(change: Change) -> bytes:
        if change.record.values.get("name") == "Odd":
            raise ZeroDivisionError
        return encode_change(change)

    monkeypatch.setattr(deciding_module, "encode_change", encode)


def fall(town: Town, times: int) -> None:
    for _ in range(times):
        with pytest.raises(ExceptionGroup):
            town.live()
        town.loop.sweep()


@pytest.mark.usefixtures("bug")
def test_an_event_that_brings_out_a_bug_leaves_nothing_of_itself_in_the_batch(town: Town) -> None:
    names = ["Odd", "Bea", "Cid"]
    say(town, event("0", name="Ann"))
    say(town, *[event("1", at_ms=START_MS + n, name=name) for n, name in enumerate(names)])
    fall(town, 2)

    assert town.live()
    assert [told(town, f"event/{seq}").outcome for seq in (1, 2, 3, 4)] == [
        Outcome.ACCEPTED,
        Outcome.INVALID,
        Outcome.ACCEPTED,
        Outcome.ACCEPTED,
    ]
    assert told(town, "event/2").reason == "bug: ZeroDivisionError"
    assert [(c.record.key, c.record.rev, c.record.values["name"]) for c in changes(town)] == [
        ("student/0", 1, "Ann"),
        ("student/1", 1, "Bea"),
        ("student/1", 2, "Cid"),
    ]
    assert broken(town, by_script=False) == []


@pytest.mark.usefixtures("bug")
def test_a_bug_in_a_later_event_of_a_record_leaves_the_record_as_it_was(town: Town) -> None:
    names = ["Ann", "Odd"]
    say(town, *[event("1", at_ms=START_MS + n, name=name) for n, name in enumerate(names)])
    fall(town, 2)

    assert town.live()
    assert records(town)["student/1"].values["name"] == "Ann"
    assert town.fars["lms"].records["student/1"].fields["name"] == "Ann"
    assert broken(town, by_script=False) == []


# -- alerts


def test_much_garbage_of_one_system_makes_one_alert_within_the_hour(town: Town) -> None:
    for _ in range(10):
        say_raw(town, "event.sis.student.update", b"not ours")
    say_raw(town, "event.hr.staff.update", b"not ours")

    assert town.live()
    assert outcomes(town) == [Outcome.INVALID] * 11
    assert [stored.subject.split(".")[2:] for stored in town.server.streams["ALERTS"].history] == [
        ["invalid-event", "sis"],
        ["invalid-event", "hr"],
    ]


def test_garbage_an_hour_later_is_told_again(town: Town) -> None:
    say_raw(town, "event.sis.student.update", b"not ours")
    town.loop.call_later(3700, lambda: say_raw(town, "event.sis.student.update", b"nor this"))
    town.live(until_quiet=False, stop_after_s=3800)

    assert alerts(town) == ["invalid-event", "invalid-event"]


def test_an_alert_that_the_disk_did_not_take_is_told_all_the_same(town: Town) -> None:
    say_raw(town, "event.sis.student.update", b"not ours")

    def full_for_a_while(step: str) -> bool:
        if step == "read EVENTS" and not troubles(town):
            town.weather.rates["disk.full"] = 1.0
            town.loop.call_later(3, lambda: town.weather.rates.update({"disk.full": 0.0}))
        return False

    assert town.live(full_for_a_while)
    assert any("the disk is full" in line for line in troubles(town))
    assert alerts(town) == ["invalid-event"]
