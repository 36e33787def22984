"""What a decided batch writes into the index, and what is told of it: steps 3 and 4 of intake, as values."""

import json
from collections.abc import Iterable, Mapping, Sequence

from bus import subjects
from bus.codec import encode_conflict, encode_seen, encode_state
from bus.messages import Outcome, Record, Step
from bus.port import Message
from router.batch import Batch, ToTell
from router.core.identity import LinkName
from router.database import Write
from router.hourly import Hourly
from router.store import Store

ASKED = "asked"
SETTLED = "settled"
"""States of a conflict: a person is asked, or a rule has decided."""


def index(
    store: Store,
    batch: Batch,
    saved: Mapping[str, tuple[Record, bytes]],
    position: Iterable[tuple[str, int]],
    now_ms: int,
) -> list[Write]:
    """The one commit of a batch, without the outbox. `saved`: the records that changed, with their bodies."""
    changed = {change.record.seq: change.record.key for change, _ in batch.taken}
    changed |= {record.seq: key for key, (record, _) in saved.items()}
    newest = max(changed, default=0)
    unmatched, matched = batch.unmatched.values(), list(batch.matched)
    forgotten = [*matched, *batch.unmatched]
    waiting = [(token, *each.name) for each in unmatched for token in each.tokens]
    matches = [(token, key, there) for token, keys in batch.matches.items() for key, there in keys.items()]
    conflicts = [
        (each.id, each.conflict.key, each.at_ms, state_of(each), encode_conflict(each.conflict, {}))
        for each in batch.conflicts
    ]
    return [
        store.write(
            "save_records",
            [(key, record.entity, record.rev, record.seq, body) for key, (record, body) in saved.items()],
        ),
        store.write("save_changed", [*changed.items()]),
        store.write("save_seen", [(key, encode_seen(record.seen)) for key, record in batch.seen.items()]),
        store.write("save_links", [(*name, key) for name, key in batch.new_links.items()]),
        store.write("forget_links", list(batch.gone_links)),
        store.write("forget_matching", [(token, key) for token, key, there in matches if not there]),
        store.write("save_matching", [(token, key) for token, key, there in matches if there]),
        store.write("forget_unmatched", matched),
        store.write("forget_waiting", forgotten),
        store.write("forget_dismissed", [name for name, kept in batch.dismissed.items() if not kept]),
        store.write(
            "save_dismissed",
            [(*name, kept[0], now_ms, kept[1]) for name, kept in batch.dismissed.items() if kept],
        ),
        store.write(
            "save_unmatched",
            [(*e.name, e.event_seq, e.at_ms, json.dumps(e.candidates), e.body) for e in unmatched],
        ),
        store.write("save_waiting", waiting),
        store.write("save_conflicts", conflicts),
        store.write("picked", [(key,) for key in dict.fromkeys(key for key, _ in batch.picked)]),
        store.write("save_instants", [(key, at_ms) for key, at_ms in batch.instants.items() if at_ms]),
        store.write("forget_instants", [(key,) for key, at_ms in batch.instants.items() if not at_ms]),
        store.write("save_loose", list(batch.loose)),
        store.write("forget_loose", list(batch.healed)),
        store.write("save_referrers", [(*names, past) for names, past in batch.refers.items()]),
        store.write("save_moved", [(key,) for key in batch.moved]),
        store.write("put", [(put.system, put.key, put.id, now_ms) for put in batch.puts]),
        store.write("save_positions", [*position, *([("changes", newest)] if newest else [])]),
    ]


def state_of(told: ToTell) -> str:
    """Does a conflict wait for a person?"""
    return SETTLED if told.conflict.winner else ASKED


def conflict_messages(conflicts: Sequence[ToTell]) -> list[Message]:
    """One for each: it holds values, so it has a subject that not every reader of AUDIT may read."""
    return [
        Message(
            subjects.audit(Step.CONFLICT, state_of(each), each.conflict.system, entity_of(each.conflict.key)),
            encode_conflict(each.conflict, {}),
            each.id,
        )
        for each in conflicts
    ]


def entity_of(key: str) -> str:
    """The entity in a record's key."""
    return key.partition("/")[0]


def unmatched_messages(batch: Batch, tokens: subjects.Tokens, known: Iterable[LinkName]) -> list[Message]:
    """On STATE what waits unmatched, with its event, and what waits no more. `known`: what waited before."""
    messages = []
    for name, each in batch.unmatched.items():
        says = {"system": name[0], "local_id": name[2], "candidates": each.candidates, "event": each.body}
        messages.append(_unmatched(name, tokens, says | {"event_seq": each.event_seq}, str(each.event_seq)))
    for name, kept in batch.dismissed.items():
        if kept:
            seq, body = kept
            said = {
                "system": name[0],
                "local_id": name[2],
                "dismissed": True,
                "event": body,
                "event_seq": seq,
            }
            messages.append(_unmatched(name, tokens, said, f"{seq}.dismissed"))
        elif name not in batch.unmatched:
            messages.append(_unmatched(name, tokens, {"resolved": True}, f"{batch.matched[name]}.resolved"))
    for name in known:
        if name in batch.matched and name not in batch.dismissed:
            messages.append(_unmatched(name, tokens, {"resolved": True}, f"{batch.matched[name]}.resolved"))
    return messages


def _unmatched(name: LinkName, tokens: subjects.Tokens, says: Mapping[str, object], id_: str) -> Message:
    system, entity, local_id = name
    token = tokens(f"{system}:{entity}/{local_id}")
    subject = subjects.state("unmatched", system, entity, token)
    return Message(subject, encode_state(says), f"unmatched/{token}/{id_}")


def batch_alerts(batch: Batch, hourly: Hourly, now_ms: int) -> Hourly:
    """What a person has to look at; of each cause one within the hour, and how many followed."""
    tell = hourly.tell
    for audited in batch.audit:
        if audited.outcome is Outcome.INVALID:
            text = f"EVENTS {audited.seq}: {audited.reason}."
            text += " It is set aside and kept on the stream; the rest goes on."
            tell("invalid-event", audited.system, "", f"event/{audited.seq}", text)
    for each in batch.conflicts:
        entity, names = (
            entity_of(each.conflict.key),
            ", ".join(n or "existence" for n in each.conflict.fields),
        )
        text = (
            f"{each.conflict.system} and {each.conflict.other} have both changed {entity} {names}; "
            + (f"{each.conflict.winner}'s stands." if each.conflict.winner else "a person is asked.")
            + " See: yellowbus conflicts list"
        )
        kind = "bouncing" if each.conflict.rule == "bouncing" else "conflict"
        tell(kind, each.conflict.system, f"{entity}.{names}", each.id, text)
    for name, unmatched in batch.unmatched.items():
        if unmatched.reused:
            text = (
                f"{name[0]}: an id of a {name[1]} names another one now: nothing by which it is recognised"
                " agrees. The record stays as it was. See: yellowbus unmatched list"
            )
            tell("reused-id", name[0], name[1], f"reused/{unmatched.event_seq}", text)
            continue
        text = (
            f"{name[0]}: a {name[1]} that is no record yet, or more than one. It waits, and others may."
            " See: yellowbus unmatched list"
        )
        tell("unmatched", name[0], "", f"unmatched/{unmatched.event_seq}", text)
    for system, entity in dict.fromkeys(batch.bouncing):
        text = (
            f"{system}: a {entity} keeps coming back with values that are not {system}'s to say. It is set"
            " right no more within this hour. See: yellowbus conflicts list"
        )
        tell("restores-stopped", system, entity, f"{entity}/{now_ms}", text)
    return hourly
