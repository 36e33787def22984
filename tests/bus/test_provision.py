"""Provisioning on a real server: made, left alone, corrected, or refused with the reason."""

import pytest

from bus.errors import ConfigError
from bus.jetstream import JetStream
from bus.port import Message
from bus.provision import drift, provision, provision_consumer
from bus.topology import EPOCH_KEY, STREAMS, Durable

LMS = Durable(stream="CHANGES", name="lms", filters=("change.student.*",))


async def test_a_second_time_changes_nothing(bus: JetStream) -> None:
    await provision_consumer(bus.connection, LMS)

    assert await drift(bus.connection) == []
    assert await provision(bus.connection) == []
    assert await provision_consumer(bus.connection, LMS) == []


async def test_a_stream_that_is_not_there_is_named_then_made(bus: JetStream) -> None:
    await bus.connection.api("STREAM.DELETE.DEAD")

    before = await drift(bus.connection)
    await provision(bus.connection)

    assert [str(line) for line in before] == ["DEAD: has 'no such stream', wants 'one'"]
    assert await drift(bus.connection) == []


async def test_drift_is_reported_then_corrected_and_foreign_settings_stay(bus: JetStream) -> None:
    config = (await bus.connection.api("STREAM.INFO.EVENTS"))["config"]
    metadata = {"theirs": "kept", EPOCH_KEY: "4"}
    changed = {**config, "max_age": 86400 * 10**9, "max_bytes": 10**9, "metadata": metadata}
    await bus.connection.api("STREAM.UPDATE.EVENTS", changed)

    reported = await provision(bus.connection)
    after = (await bus.connection.api("STREAM.INFO.EVENTS"))["config"]

    assert [line.where for line in reported] == ["EVENTS.max_age", "EVENTS.metadata"]
    assert after["max_age"] == 90 * 86400 * 10**9
    assert after["max_bytes"] == 10**9
    assert (after["metadata"]["theirs"], after["metadata"][EPOCH_KEY]) == ("kept", "4")
    assert await drift(bus.connection) == []


async def test_what_the_server_never_changes_is_refused_with_both_values(bus: JetStream) -> None:
    await bus.connection.api("STREAM.DELETE.DEAD")
    await bus.connection.api(
        "STREAM.CREATE.DEAD", {"name": "DEAD", "subjects": ["dead.>"], "storage": "memory"}
    )

    with pytest.raises(ConfigError, match=r"DEAD\.storage: has 'memory', wants 'file'"):
        await provision(bus.connection)


async def test_what_the_server_refuses_carries_its_reason(bus: JetStream) -> None:
    with pytest.raises(ConfigError, match=r"EVENTS\.num_replicas: has 1, wants 3.*replicas"):
        await provision(bus.connection, replicas=3)


async def test_a_consumers_filters_follow_the_configuration(bus: JetStream) -> None:
    await provision_consumer(bus.connection, LMS)
    both = Durable(stream="CHANGES", name="lms", filters=("change.student.*", "change.class.*"), batch=100)

    reported = await provision_consumer(bus.connection, both)
    without = await provision_consumer(bus.connection, Durable(stream="CHANGES", name="lms", batch=100))

    assert {line.where for line in reported} == {"CHANGES.lms.max_ack_pending", "CHANGES.lms.filter_subjects"}
    assert [line.where for line in without] == ["CHANGES.lms.filter_subjects"]


async def test_a_consumer_of_another_kind_is_refused(bus: JetStream) -> None:
    config = {"durable_name": "lms", "ack_policy": "explicit"}
    body = {"stream_name": "CHANGES", "action": "create", "config": config}
    await bus.connection.api("CONSUMER.CREATE.CHANGES.lms", body)

    with pytest.raises(ConfigError, match=r"CHANGES\.lms\.ack_policy: has 'explicit', wants 'all'"):
        await provision_consumer(bus.connection, LMS)


async def test_the_newest_64_of_a_record_stay_and_nothing_is_refused(bus: JetStream) -> None:
    messages = [Message("change.student.a", b"%d" % n, id=str(n)) for n in range(200)]
    await bus.publish("CHANGES", messages)

    there = [m async for chunk in bus.read("CHANGES") for m in chunk]

    assert [m.body for m in there] == [b"%d" % n for n in range(136, 200)]
    assert len(STREAMS) == 6
