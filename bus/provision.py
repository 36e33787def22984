"""Bring a server's streams and consumers to what bus/topology.py says, and say what differed."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from bus.connection import ApiError, Connection
from bus.errors import ConfigError
from bus.topology import STREAMS, Drift, Durable, Stream, consumer_drift, merged_metadata, stream_drift

NO_CONSUMER: Final = 10014
NO_STREAM: Final = 10059


async def drift(
    connection: Connection, streams: Iterable[Stream] = STREAMS, *, replicas: int = 1
) -> list[Drift]:
    """What `provision` would change; a stream that is not there is one line. Changes nothing."""
    found: list[Drift] = []
    for stream in streams:
        has = await _info(connection, f"STREAM.INFO.{stream.name}", NO_STREAM)
        if has is None:
            found.append(Drift(stream.name, "no such stream", "one", False))
        else:
            found += stream_drift(has, stream.config(replicas=replicas))
    return found


async def provision(
    connection: Connection, streams: Iterable[Stream] = STREAMS, *, replicas: int = 1
) -> list[Drift]:
    """Make the streams that are not there, update the others; return what differed in those.

    Raises ConfigError for what the server does not allow to change, before it changes that stream.
    """
    found: list[Drift] = []
    for stream in streams:
        wants = stream.config(replicas=replicas)
        has = await _info(connection, f"STREAM.INFO.{stream.name}", NO_STREAM)
        if has is None:
            await connection.api(f"STREAM.CREATE.{stream.name}", wants)
            continue
        differing = stream_drift(has, wants)
        if differing:
            metadata = merged_metadata(has.get("metadata") or {}, wants["metadata"])
            update = {**has, **wants, "metadata": _ours(metadata)}
            await _change(connection, f"STREAM.UPDATE.{stream.name}", update, differing)
            found += differing
    return found


async def provision_consumer(connection: Connection, durable: Durable) -> list[Drift]:
    """Make a durable, or update the one that is there; return what differed.

    Raises ConfigError for what the server does not allow to change.
    """
    wants = durable.config()
    has = await _info(connection, f"CONSUMER.INFO.{durable.stream}.{durable.name}", NO_CONSUMER)
    what = f"CONSUMER.CREATE.{durable.stream}.{durable.name}"
    body = {"stream_name": durable.stream, "action": "create", "config": wants}
    if has is None:
        await connection.api(what, body)
        return []
    differing = consumer_drift(durable.stream, has, wants)
    if differing:
        others = {
            key: value for key, value in has.items() if key not in ("filter_subject", "filter_subjects")
        }
        config = {**others, **wants, "deliver_policy": has["deliver_policy"]}
        config["metadata"] = _ours({**(has.get("metadata") or {}), **wants["metadata"]})
        await _change(connection, what, {**body, "action": "update", "config": config}, differing)
    return differing


async def _info(connection: Connection, what: str, absent: int) -> dict[str, Any] | None:
    try:
        reply = await connection.api(what)
    except ApiError as error:
        if error.code == absent:
            return None
        raise
    config: dict[str, Any] = reply["config"]
    return config


async def _change(connection: Connection, what: str, body: Mapping[str, Any], differing: list[Drift]) -> None:
    fixed = [line for line in differing if line.fixed]
    if fixed:
        raise ConfigError(_cannot(fixed, "the server never changes that"), runbook="stream-drift")
    try:
        await connection.api(what, body)
    except ApiError as error:
        raise ConfigError(_cannot(differing, str(error)), runbook="stream-drift") from error


def _cannot(lines: list[Drift], why: str) -> str:
    return "; ".join(map(str, lines)) + f": {why}. Move it aside or make it new"


def _ours(metadata: Mapping[str, str]) -> dict[str, str]:
    """Without the keys that the server writes itself."""
    return {key: value for key, value in metadata.items() if not key.startswith("_nats.")}
