"""A person says which record a system means: linked for good, taken apart again, or dismissed."""

from bus.messages import Event, Op, Outcome, Record
from router.core.merge import Decision

LINKING = frozenset({Op.LINK, Op.UNLINK, Op.DISMISS})


def decide_link(record: Record | None, event: Event, event_seq: int) -> Decision:
    """Link `act.system`'s `act.local_id` with the record, or unlink it. A system's second id is an alias.

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
    if record is None or record.deleted:
        return _refused(record, event, "there is no such record")
    if event.act.get("looked_at") != record.rev:
        return _refused(record, event, "look again: it has changed since")
    links, aliases = dict(record.links), dict(record.aliases)
    seen = dict(record.seen)
    held = (links.get(system), *aliases.get(system, ()))
    if event.op is Op.LINK:
        if local_id in held:
            return Decision(Outcome.UNCHANGED, record, False, event.op)
        if system in links:
            aliases[system] = (*aliases.get(system, ()), local_id)
        else:
            links[system] = local_id
    else:
        if local_id not in held:
            return _refused(record, event, "it is not linked with that")
        left = [each for each in held if each is not None and each != local_id]
        links.pop(system, None)
        aliases.pop(system, None)
        if left:
            links[system] = left[0]
            aliases |= {system: tuple(left[1:])} if left[1:] else {}
        else:
            seen.pop(system, None)
    after = record._replace(
        rev=record.rev + 1, changed=(), event_seq=event_seq, links=links, aliases=aliases, seen=seen
    )
    return Decision(Outcome.ACCEPTED, after, True, event.op)


def _refused(record: Record | None, event: Event, why: str) -> Decision:
    return Decision(Outcome.REFUSED, record, False, event.op, reason=why)
