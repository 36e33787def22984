"""Events and changes as maps on the wire, in the shape that they are read by the hundred thousand: msgspec
checks names and types while it reads, in a third of the time that Python takes.

An entry that we do not know is passed over here; `entries` tells that there is one.
"""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Raw, Struct
from msgspec.msgpack import Decoder

from bus.messages import Claim, Conflict, Op, Outcome, Value
from bus.origins import Shared


class EventBody(Struct, gc=False):
    """A message on EVENTS."""

    v: int
    id: str
    system: str
    entity: str
    op: Op
    local_id: str
    full: bool
    observed_at_ms: int
    fields: dict[str, Value]
    occurred_at_ms: int | None = None
    read: str = ""
    act: Raw = Raw()
    hub_id: str = ""


class SeenBody(NamedTuple):
    """What a system last said, as `Seen` has it. `names` None: of all fields that the record has."""

    at_ms: int
    names: tuple[str, ...] | None
    said: Mapping[str, Value] = {}
    times: Mapping[str, int] = {}
    since: Mapping[str, int] = {}
    claims: Mapping[str, Claim] = {}
    took: Mapping[str, int] = {}


class ChangeBody(Struct, gc=False, omit_defaults=True):
    """A message on CHANGES."""

    v: int
    key: str
    rev: int
    entity: str
    op: Op
    deleted: bool
    values: dict[str, Value]
    origins: tuple[Shared, ...]
    links: dict[str, str]
    seen: dict[str, SeenBody]
    changed: tuple[str, ...]
    event_seq: int
    event_id: str
    system: str
    outcome: Outcome
    refused: tuple[str, ...]
    decided_at_ms: int
    observed_at_ms: int
    asked: Mapping[str, tuple[str, ...]] = {}
    turns: Mapping[str, tuple[int, int]] = {}
    aliases: Mapping[str, tuple[str, ...]] = {}
    into: str = ""
    conflicts: tuple[Conflict, ...] = ()


class SystemsBody(Struct, gc=False):
    """What systems last said, as the index has it."""

    v: int
    seen: dict[str, SeenBody]


read_event = Decoder(EventBody).decode
read_change = Decoder(ChangeBody).decode
read_systems = Decoder(SystemsBody).decode


def entries(body: bytes) -> int:
    """How many entries a map has.

    >>> entries(bytes([0x82, 0xA1, 0x76, 1, 0xA1, 0x77, 2]))
    2
    """
    if body[0] < 0x90:
        return body[0] & 0x0F
    return int.from_bytes(body[1:3] if body[0] == 0xDE else body[1:5])
