"""What we want of a server, and the difference to what it has."""

from typing import Any

import pytest

from bus import subjects
from bus.topology import (
    EPOCH_KEY,
    SCHEMA_KEY,
    STREAMS,
    Durable,
    consumer_drift,
    epoch_of,
    merged_metadata,
    stream_drift,
)

EVENTS = next(stream for stream in STREAMS if stream.name == subjects.EVENTS)


def test_every_subject_has_its_stream() -> None:
    made = [
        subjects.event("sis", "student", "update"),
        subjects.change("student", "t"),
        subjects.state("hold", "sis", "student", "t"),
        subjects.audit("event", "accepted", "sis", "student"),
        subjects.dead("lms", "student"),
        subjects.alert("critical", "kind", "lms"),
    ]

    taken = {prefix: stream.name for stream in STREAMS for prefix in stream.subjects}
    assert [taken[subject.partition(".")[0] + ".>"] for subject in made] == [
        subjects.stream_of(s) for s in made
    ]


def test_the_streams_are_those_of_the_design() -> None:
    kept = {s.name: (s.days_max, s.per_subject_max, s.duplicate_window_s) for s in STREAMS}

    assert kept["EVENTS"] == (90, -1, 1800)
    assert (kept["CHANGES"][:2], kept["STATE"][:2], kept["ALERTS"][:2]) == ((0, 64), (0, 1), (0, 1000))
    assert kept["AUDIT"][0] == kept["DEAD"][0] == 400


@pytest.mark.parametrize("stream", STREAMS, ids=lambda s: s.name)
def test_every_stream_can_be_read_directly_takes_batches_and_drops_nothing_silently(stream: Any) -> None:
    config = stream.config(replicas=3)

    assert config["allow_direct"] and config["allow_atomic"] and config["description"]
    assert (config["discard"], config["retention"], config["num_replicas"]) == ("new", "limits", 3)
    assert config["metadata"] == {SCHEMA_KEY: "1", EPOCH_KEY: "1"}


def test_what_the_server_adds_is_no_drift() -> None:
    wants = EVENTS.config()
    has = {**wants, "max_bytes": -1, "metadata": {**wants["metadata"], "_nats.ver": "2.15.1"}}

    assert stream_drift(has, wants) == []


def test_a_difference_is_named_with_both_values() -> None:
    wants = EVENTS.config()
    has = {**wants, "max_age": 5, "storage": "memory"}

    drift = stream_drift(has, wants)

    assert [str(line) for line in drift] == [
        "EVENTS.storage: has 'memory', wants 'file'",
        f"EVENTS.max_age: has 5, wants {90 * 86400 * 10**9}",
    ]
    assert [line.fixed for line in drift] == [True, False]


def test_a_higher_epoch_on_the_server_stays() -> None:
    wants = EVENTS.config()
    has = {**wants, "metadata": {SCHEMA_KEY: "1", EPOCH_KEY: "7"}}

    assert stream_drift(has, wants) == []
    assert merged_metadata(has["metadata"], wants["metadata"])[EPOCH_KEY] == "7"
    assert [line.where for line in stream_drift({**has, "metadata": {EPOCH_KEY: "0"}}, wants)] == [
        "EVENTS.metadata"
    ]


def test_an_epoch_that_is_no_number_counts_as_none() -> None:
    assert [epoch_of(m) for m in ({}, {EPOCH_KEY: "x"}, {EPOCH_KEY: "12"})] == [0, 0, 12]


def test_where_a_consumer_started_is_no_drift_and_one_filter_is_a_list_of_one() -> None:
    wants = Durable(stream="CHANGES", name="lms", filters=("change.a.*",), start="new").config()
    has = {**wants, "deliver_policy": "all", "filter_subject": "change.a.*"}
    del has["filter_subjects"]

    assert consumer_drift("CHANGES", has, wants) == []
    assert [d.where for d in consumer_drift("CHANGES", {**has, "filter_subject": "change.b.*"}, wants)] == [
        "CHANGES.lms.filter_subjects"
    ]


def test_filters_that_are_gone_are_a_drift() -> None:
    wants = Durable(stream="CHANGES", name="lms").config()
    has = {**wants, "filter_subjects": ["change.a.*"]}

    assert [line.where for line in consumer_drift("CHANGES", has, wants)] == ["CHANGES.lms.filter_subjects"]
