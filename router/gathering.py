"""The beginning of step 1: what the events of a batch are, and what has to be at hand to decide them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bus import subjects
from bus.codec import decode_event
from bus.errors import Garbage
from bus.messages import Event, Op
from bus.port import Stored
from router.batch import Batch
from router.core.held import Given
from router.core.identity import LinkName, named, references
from router.core.joining import JOINING
from router.core.linking import LINKING
from router.core.rules import District
from router.records import LinksNow, RecordsNow

OURSELVES: Final = "yellowbus"
OPERATOR: Final = "operator"
"""Systems that are none: what the hub says to itself, and what people decide."""
ACTS: Final = LINKING | JOINING | {Op.PICK}

MayHave = Callable[[Sequence[str]], dict[str, Given]]
"""By key what a system was given of records and may not have taken up."""

_NOT_A_SYSTEMS: Final = tuple(
    [subjects.event(name, "", "").removesuffix(".") for name in (OURSELVES, OPERATOR)]
)
_ACTING: Final = b"\xa3act"
"""The name of the entry by which an event is about more than its record, in MessagePack."""

Parsed = tuple[Stored, Event | str]
"""A message with its event, or why it is none."""


class Gathering:
    """Reads events, and loads what they are about."""

    def __init__(
        self, records: RecordsNow, links: LinksNow, district: District, may_have: Mapping[str, MayHave]
    ) -> None:
        self._records = records
        self._links = links
        self._district = district
        self._may_have = may_have
        self._references = {name: references(rule) for name, rule in district.entities.items()}

    def parse(self, fresh: Sequence[Stored]) -> list[Parsed]:
        """The events in these messages."""
        return [(stored, self._event(stored)) for stored in fresh]

    def _event(self, stored: Stored) -> Event | str:
        """The event in a message, or why it is none."""
        try:
            event = decode_event(stored.body, stored.traceparent)
        except Garbage as error:
            return error.message
        if event.entity not in self._district.entities:
            return "an entity that the configuration does not know"
        if event.system not in self._district.systems and event.system not in (OURSELVES, OPERATOR):
            return "a system that the configuration does not know"
        if (event.op in ACTS or event.op is Op.DATE) != (event.system in (OURSELVES, OPERATOR)):
            return "its operation is not for its system to say"
        if subjects.event(event.system, event.entity, event.op) != stored.subject:
            return "its subject names another system, entity or operation"
        # A clock that runs ahead must not make everything after it look stale (design: clamped).
        late = event.observed_at_ms > stored.at_ms
        return event._replace(observed_at_ms=stored.at_ms) if late else event

    def load(self, batch: Batch, parsed: Sequence[Parsed]) -> None:
        """Into the batch all that deciding these needs at hand, besides what it has decided already."""
        events = [event for _, event in parsed if isinstance(event, Event)]
        wanted: dict[LinkName, None] = {}
        maybe: dict[LinkName, None] = {}
        for event in events:
            wanted[event.system, event.entity, event.local_id] = None
            names = named(event, self._references[event.entity])
            if any(self._links.get(name) is None for name in names):
                maybe.update(dict.fromkeys(names))
            else:
                wanted.update(dict.fromkeys(names))
        decided = batch.links, batch.gone_links
        missing = [name for name in (*wanted, *maybe) if not any(name in each for each in decided)]
        batch.links.update(self._links.many(missing))
        links = batch.links
        keys = {
            links.get((event.system, event.entity, event.local_id)) or f"{event.entity}/{event.local_id}"
            for event in events
        }
        keys.update(
            str(event.act[name]) for event in events for name in ("key", "other") if name in event.act
        )
        batch.records.update(self._records.many([key for key in keys if key not in batch.records]))
        batch.asked |= keys
        self._load_given(batch, events)

    def _load_given(self, batch: Batch, events: Sequence[Event]) -> None:
        """What systems that are told too have been given of these records."""
        by_system: dict[str, dict[str, None]] = {}
        for event in events:
            if event.system in self._district.entities[event.entity].two_way:
                key = batch.links.get((event.system, event.entity, event.local_id))
                if key is not None:
                    by_system.setdefault(event.system, {})[key] = None
        for system, keys in by_system.items():
            found = self._may_have[system](list(keys))
            batch.given.update({(system, key): given for key, given in found.items()})


def is_plain(stored: Stored) -> bool:
    """Does deciding it look up nothing in the index but records, and what it is linked to? Tells it from the
    message as it came; one that might be otherwise is not plain.
    """
    return _ACTING not in stored.body and not stored.subject.startswith(_NOT_A_SYSTEMS)
