"""What bringing one record up to date at one destination takes: a put, a removal, or nothing."""

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

import msgpack

from bus.adapter import Delivery
from bus.messages import Fields, Op, Outcome, Record, Version
from router.core.mapping import Invalid, Outgoing, id_of
from router.core.rules import DestinationEntity

HASH_BYTES: Final = 12


NO_MATCH: Final = "no longer matches when"
"""Why a record that is not deleted is taken away."""


LEFT: Final = "it was switched off, and has not come back"
"""Why a record that was deactivated is deleted."""


class Held(NamedTuple):
    """A ledger entry: what a destination holds of a record. `rev`: settled up to it. `hash` '': nothing."""

    rev: int
    version: Version
    hash: str
    local_id: str

    @property
    def is_new(self) -> bool:
        """Nothing of it is known to be there: a put makes it."""
        return not self.hash and not self.local_id


NOTHING_HELD: Final = Held(0, Version(0, 0), "", "")
HELD_UNKNOWN: Final = "?"
"""The hash where a send had no answer: the record may be there or not, so it is sent, or removed, again."""


class Route(NamedTuple):
    """One entity on its way to one destination: its rule, and the compiled mapping."""

    rule: DestinationEntity
    outgoing: Outgoing
    owner: str


class Planned(NamedTuple):
    """What to do. `delivery` None: nothing to send, `outcome` settles it. `hash`: held after success."""

    delivery: Delivery | None
    outcome: Outcome
    hash: str
    reason: str = ""


def content_hash(fields: Fields, key: bytes) -> str:
    """A keyed hash of what a destination is told: equal content, equal hash; it tells nothing."""
    digest = _keyed(key).copy()  # to begin with the key takes as long as the content
    digest.update(_pack(fields))
    return digest.hexdigest()


_pack: Final[Callable[[object], bytes]] = msgpack.Packer(autoreset=True).pack


@lru_cache(4)
def _keyed(key: bytes) -> "hashlib.blake2b":
    return hashlib.blake2b(key=key[: hashlib.blake2b.MAX_KEY_SIZE], digest_size=HASH_BYTES)


def plan(
    record: Record,
    version: Version,
    held: Held,
    route: Route,
    key: bytes,
    reference: Callable[[str], str],
    has_it: bool | None = None,
    because: str = "",
    has_left: bool = False,
) -> Planned:
    """What makes a destination's copy equal to the record, given what it holds.

    A record that is deleted, or does not match any more, is removed if it is there. Content that the
    destination holds already is not sent. `has_it`: of a system that tells us too, whether it has what it is
    told, by what it says itself; then that counts and not what was sent. `because`: why it is not for this
    destination, whatever its rule says. `has_left`: it has been switched
    off there for as long as its rule says.
    """
    rule = route.rule
    try:
        wanted = not record.deleted and not because and route.outgoing.wants(record, route.owner)
        fields = route.outgoing.fields(record, route.owner, reference) if wanted else {}
    except Invalid as error:
        return Planned(None, Outcome.FAILED, held.hash, f"{error.field}: {error.reason}")
    if wanted:
        hash_ = content_hash(fields, key)
        if hash_ == held.hash if has_it is None else has_it and held.hash != HELD_UNKNOWN:
            return Planned(None, Outcome.UNCHANGED, hash_)
        again = has_it is False and hash_ == held.hash
        return Planned(_delivery(record, version, held, rule, Op.UPDATE, fields, again), Outcome.READY, hash_)
    if has_left and not held.hash:
        delivery = _delivery(record, version, held, rule, Op.DELETE, {})._replace(deactivate=False)
        return Planned(delivery, Outcome.READY, "", LEFT)
    if not held.hash:
        # Never there: that it is gone, or not for them, is settled without a word to them.
        return Planned(None, Outcome.FILTERED, "", because)
    if rule.on_delete == "ignore":
        return Planned(None, Outcome.FILTERED, held.hash, "on_delete: ignore")
    reason = "" if record.deleted else because or NO_MATCH
    return Planned(_delivery(record, version, held, rule, Op.DELETE, {}), Outcome.READY, "", reason)


def allowed(found: Planned, held: Held, mode: str) -> Planned:
    """What the mode of a destination lets through: add-only creates, observe nothing."""
    if found.delivery is None or mode == "live":
        return found
    is_create = found.delivery.op is not Op.DELETE and held.is_new
    if mode == "add-only" and is_create:
        return found
    what = "delete" if found.delivery.op is Op.DELETE else "create" if is_create else "update"
    return Planned(None, Outcome.FILTERED, held.hash, f"{mode}: would {what}")


def _delivery(
    record: Record,
    version: Version,
    held: Held,
    rule: DestinationEntity,
    op: Op,
    fields: Fields,
    again: bool = False,
) -> Delivery:
    return Delivery(
        record.key,
        id_of(record.key),
        record.entity,
        rule.table,
        op,
        op is Op.DELETE and rule.on_delete == "deactivate",
        version,
        held.local_id,
        fields,
        again,
    )
