"""The streams and consumers that yellowbus needs, as data, and the difference to what a server has.

Pure. Bodies are raw JSON in the server's own words: nats-py's models lose the fields they do not know
(jetstream.md 1.1). Durations on this wire are integer nanoseconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from bus import subjects

SCHEMA: Final = "1"
"""Version of the message bodies, in each stream's metadata."""
SCHEMA_KEY: Final = "yellowbus.schema"
EPOCH_KEY: Final = "yellowbus.epoch"
"""Raised by a restore from backup, so that a sequence of an older life is never taken for one of this."""

SECOND_NS: Final = 1_000_000_000
DAY_NS: Final = 86_400 * SECOND_NS

CHANGES_PER_RECORD_MAX: Final = 64
ACK_WAIT_NS: Final = 60 * SECOND_NS
MAX_WAITING: Final = 16
ACK_PENDING_BATCHES_MAX: Final = 4
"""Two on their way and waiting here, one in work, one to spare. A reader that holds more gets no more."""

# What a server may not change on a stream or consumer that exists (nats-server, checkStreamCfg and
# checkConsumerCfg); and what it may raise or set only once.
_FIXED_OF_STREAM: Final = frozenset({"name", "storage", "retention"})
_FIXED_OF_CONSUMER: Final = frozenset({"name", "durable_name", "ack_policy", "deliver_policy"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One stream as we want it. Discard "new" everywhere: a full stream says so, and drops nothing silently
    (the limit per subject still lets the oldest of that subject go). Compressed to a fifth on disk, at no
    cost that could be measured.
    """

    name: str
    subjects: tuple[str, ...]
    description: str
    days_max: int = 0
    per_subject_max: int = -1
    duplicate_window_s: int = 120
    compressed: bool = True

    def config(self, *, replicas: int = 1, epoch: int = 1) -> dict[str, Any]:
        """The body of STREAM.CREATE and STREAM.UPDATE."""
        return {
            "name": self.name,
            "subjects": list(self.subjects),
            "description": self.description,
            "retention": "limits",
            "storage": "file",
            "discard": "new",
            "max_age": self.days_max * DAY_NS,
            "max_msgs_per_subject": self.per_subject_max,
            "duplicate_window": self.duplicate_window_s * SECOND_NS,
            "compression": "s2" if self.compressed else "none",
            "num_replicas": replicas,
            "allow_direct": True,
            "allow_atomic": True,
            "metadata": {SCHEMA_KEY: SCHEMA, EPOCH_KEY: str(epoch)},
        }


STREAMS: Final[tuple[Stream, ...]] = (
    Stream(
        name=subjects.EVENTS,
        subjects=("event.>",),
        description="What systems and people said",
        days_max=90,
        duplicate_window_s=30 * 60,
    ),
    Stream(
        name=subjects.CHANGES,
        subjects=("change.>",),
        description="What the hub decided; the newest message of a subject is the record",
        per_subject_max=CHANGES_PER_RECORD_MAX,
    ),
    Stream(
        name=subjects.STATE,
        subjects=("state.>",),
        description="The few facts that cannot be computed again, newest only",
        per_subject_max=1,
    ),
    Stream(
        name=subjects.AUDIT,
        subjects=("audit.>",),
        description="Every movement of data and every act of a person",
        days_max=400,
        duplicate_window_s=30 * 60,
    ),
    Stream(
        name=subjects.DEAD,
        subjects=("dead.>",),
        description="Deliveries that a destination refused for good",
        days_max=400,
    ),
    Stream(
        name=subjects.ALERTS,
        subjects=("alert.>",),
        description="What a person has to look at",
        per_subject_max=1000,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Durable:
    """One durable pull consumer with one reader, acknowledged up to a message."""

    stream: str
    name: str
    filters: tuple[str, ...] = ()
    start: str = "all"
    batch: int = 500

    def config(self) -> dict[str, Any]:
        """The `config` of CONSUMER.CREATE. No `backoff`: its first step would replace ack_wait."""
        wanted: dict[str, Any] = {
            "name": self.name,
            "durable_name": self.name,
            "description": f"{self.name} follows {self.stream}",
            "deliver_policy": self.start,
            "ack_policy": "all",
            "ack_wait": ACK_WAIT_NS,
            "max_ack_pending": ACK_PENDING_BATCHES_MAX * self.batch,
            "max_deliver": -1,
            "max_waiting": MAX_WAITING,
            "metadata": {SCHEMA_KEY: SCHEMA},
        }
        if self.filters:
            wanted["filter_subjects"] = list(self.filters)
        return wanted


class Drift(NamedTuple):
    """One field in which the server differs from what we want. `fixed`: the server will not change it."""

    where: str
    has: object
    wants: object
    fixed: bool

    def __str__(self) -> str:
        return f"{self.where}: has {self.has!r}, wants {self.wants!r}"


def stream_drift(has: Mapping[str, Any], wants: Mapping[str, Any]) -> list[Drift]:
    """What to change on a stream. `has` is `config` of a raw STREAM.INFO.

    A higher epoch on the server stays: only a restore raises it.
    """
    kept = {**wants, "metadata": merged_metadata(has.get("metadata") or {}, wants["metadata"])}
    return _drift(f"{wants['name']}.", has, kept, _FIXED_OF_STREAM)


def consumer_drift(stream: str, has: Mapping[str, Any], wants: Mapping[str, Any]) -> list[Drift]:
    """What to change on a consumer. Where it started is its own history, and no drift."""
    wanted = {"filter_subjects": [], **wants}
    wanted.pop("deliver_policy", None)
    there = {**has, "filter_subjects": _filters(has)}
    return _drift(f"{stream}.{wants['name']}.", there, wanted, _FIXED_OF_CONSUMER)


def merged_metadata(has: Mapping[str, str], wants: Mapping[str, str]) -> dict[str, str]:
    """Our keys, with the higher of the two epochs, beside everybody else's."""
    epoch = max(epoch_of(has), epoch_of(wants))
    return {**has, **wants, **({EPOCH_KEY: str(epoch)} if epoch else {})}


def epoch_of(metadata: Mapping[str, str]) -> int:
    """The epoch that a stream's metadata tells; 0 if none."""
    text = metadata.get(EPOCH_KEY, "")
    return int(text) if text.isdecimal() else 0


def _filters(config: Mapping[str, Any]) -> list[str]:
    one = config.get("filter_subject")
    return [one] if one else list(config.get("filter_subjects") or [])


def _drift(
    where: str, has: Mapping[str, Any], wants: Mapping[str, Any], fixed: frozenset[str]
) -> list[Drift]:
    found = []
    for field, wanted in wants.items():
        there = has.get(field)
        if field == "metadata":
            there = {key: value for key, value in (there or {}).items() if key in wanted}
        if not _same(there, wanted):
            found.append(Drift(where + field, there, wanted, field in fixed))
    return found


def _same(has: object, wants: object) -> bool:
    if isinstance(has, Sequence) and isinstance(wants, Sequence) and not isinstance(has, str):
        return sorted(has) == sorted(wants)
    return (has or None) == (wants or None)
