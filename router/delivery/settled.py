"""How deliveries ended, and what is told of them: ledger rows, audit records, dead letters, links.

A worker gathers these values and commits them at once.
"""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from msgspec.json import Decoder

from bus import subjects
from bus.adapter import Receipt
from bus.codec import encode_state
from bus.messages import AuditRecord, Op, Outcome, Record, Step
from bus.port import Message
from router.core.delivery import HELD_UNKNOWN, Held, Planned
from router.core.retry import ATTEMPTS_MAX
from router.database import Write
from router.store import Store

RESOLVES: Final = "its dead letter is resolved"
OPEN = frozenset({Outcome.RETRYING, Outcome.HELD, Outcome.WAITING})
"""Outcomes of a delivery that is not at its end: it stays on the work list."""


class Claim(NamedTuple):
    """One record of the work list that a worker has taken up, with what the ledger says of it. `turn`
    and `record` are names in the index. `put`: why it is there without a change ('' : there is one). `force`:
    what the ledger says may not be so: the system was restored from a backup, say.
    """

    turn: int
    record: int
    key: str
    rev: int
    attempt: int
    since_ms: int
    held: Held
    put: str = ""
    force: bool = False


claims_in: Final = Decoder(list[Claim], strict=False).decode
"""The claims in the answer of `claim_work`, a JSON list of lists; SQLite's booleans are 0 and 1."""


class HeldWork(NamedTuple):
    """One record that a limit of the destination holds: what would happen to it, since when it waits, why."""

    op: Op
    since_ms: int
    reason: str


class Settled(NamedTuple):
    """How one claim ended: what commits, what is told. `sent`: the system was told, and not only compared.
    `switched_off`: it was told to keep it so.
    """

    claim: Claim
    record: Record
    outcome: Outcome
    op: Op
    hash: str
    local_id: str
    reason: str = ""
    retry_after_s: float | None = None
    tried: bool = True
    sent: bool = False
    switched_off: bool = False

    @property
    def is_open(self) -> bool:
        """It stays on the work list."""
        return self.outcome in OPEN

    @property
    def held_work(self) -> HeldWork:
        """Of one that is held."""
        return HeldWork(self.op, self.claim.since_ms, self.reason)

    @property
    def is_news(self) -> bool:
        """There may be more to tell than its audit record."""
        return bool(self.local_id) or self.outcome is Outcome.FAILED or self.reason.endswith(RESOLVES)


def resolved(reason: str) -> str:
    """The reason of a delivery that resolves a dead letter."""
    return f"{reason}; {RESOLVES}" if reason else RESOLVES


def settled_by(
    claim: Claim, record: Record, found: Planned, receipt: Receipt | None, *, in_doubt: bool
) -> Settled:
    """How a claim ended, by what was planned and what the system answered to it. `in_doubt`: it may have been
    sent before without an answer.
    """
    op = Op.DELETE if record.deleted else Op.CREATE if claim.held.is_new else Op.UPDATE
    if found.delivery is None:
        return Settled(claim, record, found.outcome, op, found.hash, claim.held.local_id, found.reason)
    op = Op.DELETE if found.delivery.op is Op.DELETE else op
    if receipt is None:
        receipt = Receipt(claim.key, Outcome.RETRYING, "the adapter gave no receipt for it")
    own_id = receipt.local_id if receipt.local_id != found.delivery.id else ""
    local_id = own_id or claim.held.local_id
    outcome, reason = receipt.outcome, receipt.reason or found.reason
    if outcome is Outcome.RETRYING and receipt.tried and claim.attempt + 1 >= ATTEMPTS_MAX:
        outcome, reason = Outcome.FAILED, f"{reason} ({ATTEMPTS_MAX} attempts)"
    hash_ = found.hash
    if outcome is Outcome.FAILED or outcome in OPEN:
        hash_ = HELD_UNKNOWN if in_doubt else claim.held.hash
    return Settled(
        claim,
        record,
        outcome,
        op,
        hash_,
        local_id,
        reason,
        receipt.retry_after_s,
        receipt.tried,
        True,
        found.delivery.deactivate,
    )


def settling(store: Store, system: str, done: Sequence[Settled], now_ms: int) -> list[Write]:
    """Off the work list with these; and what a replay of this time has to look at."""
    ended: dict[str, tuple[list[int], list[int]]] = {}
    for each in done:
        told, others = ended.setdefault(each.record.entity, ([], []))
        (told if each.outcome is Outcome.DELIVERED else others).append(each.claim.record)
    rows = [(system, each.claim.turn, each.record.rev, each.claim.put) for each in done]
    puts = [(system, each.claim.turn, each.claim.put) for each in done if each.claim.put]
    outcomes = Counter((each.claim.put, each.outcome) for each in done if each.claim.put)
    return [
        store.write("settle_work", rows),
        store.write("settle_puts", puts),
        store.write("count_outcomes", [(*each, count) for each, count in outcomes.items()]),
        store.write(
            "save_ended",
            [
                (system, entity, now_ms, json.dumps(told), json.dumps(others))
                for entity, (told, others) in ended.items()
            ],
        ),
    ]


class Telling(NamedTuple):
    """Who tells: the destination, the epoch of CHANGES, and the district's tokens."""

    system: str
    epoch: int
    tokens: subjects.Tokens

    def id_of(self, record: Record) -> str:
        """A delivery's id: the same for the same rev, whoever settles it. By the sequence of the change that
        made the rev, not by the key: it goes into a header, where a key may not stand and some keys cannot.
        """
        return f"{self.system}@{self.epoch}.{record.seq}"

    def ledger_row(self, each: Settled, now_ms: int) -> tuple[object, ...]:
        """For `save_ledger`."""
        held = each.claim.held
        # A record that failed is not there in this version: only that it is settled moves on.
        seq, epoch = held.version.seq, held.version.epoch
        if each.outcome is not Outcome.FAILED:
            seq, epoch = each.record.seq, self.epoch
        return (self.system, each.claim.record, each.record.rev, epoch, seq, each.hash, each.local_id, now_ms)

    def audited(self, each: Settled, owner: str, now_ms: int) -> list[AuditRecord]:
        """What settles it: its revs, and a put, which has an outcome of its own. `owner` is the system that
        the record came from.
        """
        claim, id_ = each.claim, self.id_of(each.record)
        found = []
        if each.record.rev > claim.held.rev:
            found.append(self._audited(each, owner, now_ms, id_, Step.DELIVERY))
        if claim.put:
            found.append(self._audited(each, owner, now_ms, f"{id_}/{claim.put}", Step.PUT))
        return found

    def _audited(self, each: Settled, owner: str, now_ms: int, id_: str, step: Step) -> AuditRecord:
        claim, record = each.claim, each.record
        return AuditRecord(  # by position: by name it takes twice as long, for every delivery there is
            id_,
            step,
            each.outcome,
            now_ms,
            owner,
            self.system,
            record.entity,
            record.key,
            each.local_id,
            each.op,
            record.changed,
            each.reason,
            claim.attempt + each.tried,
            claim.held.rev + 1,
            record.rev,
            self.epoch,
            record.seq,
            record.event_seq,
            hash=each.hash,
        )

    def told(self, each: Settled, now_ms: int) -> list[Message]:
        """A dead letter for a record that failed; a link for an id that the destination gave."""
        record, messages = each.record, []
        if each.outcome is Outcome.FAILED:
            letter = {
                "id": self.id_of(record),
                "destination": self.system,
                "key": record.key,
                "rev": record.rev,
                "at_ms": now_ms,
                "attempts": each.claim.attempt + 1,
                "reason": each.reason,
                "fields": sorted(record.values),
            }
            subject = subjects.dead(self.system, record.entity)
            messages.append(Message(subject, encode_state(letter), self.id_of(record)))
        if each.reason.endswith(RESOLVES):
            messages.append(self.letter_ended(record.entity, record.key, each.outcome, self.id_of(record)))
        if each.local_id and each.local_id != each.claim.held.local_id:
            link = {"system": self.system, "key": record.key, "local_id": each.local_id}
            subject = subjects.state("link", self.system, record.entity, self.tokens(record.key))
            messages.append(Message(subject, encode_state(link), f"link/{self.id_of(record)}"))
        return messages

    def letter_ended(self, entity: str, key: str, how: str, by: str, **also: object) -> Message:
        """On STATE: a record's dead letters are settled; `by`: the id of what settles them."""
        fact = {"destination": self.system, "key": key, "resolved": how, "by": by, **also}
        subject = subjects.state("dead", self.system, entity, self.tokens(key))
        return Message(subject, encode_state(fact), f"dead/{by}")
