"""A person says which record a system means: linked for good, taken apart again, or dismissed."""

from bus.messages import Event, Op, Outcome, Record
from router.core.merge import Decision
from router.core.voices import ids_of, led_by, voice_of, with_ids

LINKING = frozenset({Op.LINK, Op.UNLINK, Op.DISMISS})


def decide_link(record: Record | None, event: Event, event_seq: int, owner: str = "") -> Decision:
    """Link `act.system`'s `act.local_id` with the record, or unlink it. A system's second id is an alias. A
    record without an id of the `owner` of its existence is deleted.

    `act.looked_at` is the rev that the person saw: a record that has changed meanwhile answers "look again".

    >>> record = Record("student/7", "student", 3, 9, False, (), 1, {}, {}, {"sis": "7"}, {})
    >>> act = {"system": "idp", "local_id": "u1", "looked_at": 3}
    >>> event = Event("1", "operator", "student", Op.LINK, "7", {}, False, 0, act=act)
    >>> decide_link(record, event, 12).record.links
    {'sis': '7', 'idp': 'u1'}
    """
    if event.op is Op.DISMISS:
        return Decision(Outcome.DISMISSED, None, False, event.op)
    system, local_id = str(event.act.get("system", "")), str(event.act.get("local_id", ""))
    if record is None or record.into:
        return _refused(record, event, "there is no such record")
    if event.act.get("looked_at") != record.rev:
        return _refused(record, event, "look again: it has changed since")
    held = ids_of(record, system)
    if event.op is Op.LINK and local_id in held:
        return Decision(Outcome.UNCHANGED, record, False, event.op)
    if event.op is Op.LINK:
        if record.deleted:
            return _refused(record, event, "there is no such record")
        after = with_ids(record, system, (*held, local_id))
    else:
        if local_id not in held:
            return _refused(record, event, "it is not linked with that")
        after = _unlinked(record, system, local_id)
        after = after._replace(deleted=record.deleted or (system == owner and not ids_of(after, system)))
    after = after._replace(rev=record.rev + 1, changed=(), event_seq=event_seq)
    op = Op.DELETE if after.deleted and not record.deleted else event.op
    return Decision(Outcome.ACCEPTED, after, True, op)


def _unlinked(record: Record, system: str, local_id: str) -> Record:
    left = tuple([each for each in ids_of(record, system) if each != local_id])
    after = led_by(record, system, left[0]) if left else record
    gone = voice_of(system, local_id) if left else system
    seen = {voice: said for voice, said in after.seen.items() if voice != gone}
    return with_ids(after, system, left)._replace(seen=seen)


def _refused(record: Record | None, event: Event, why: str) -> Decision:
    return Decision(Outcome.REFUSED, record, False, event.op, reason=why)
