"""What of a destination's work list is ready, waits, is tried again, held or paused: since when, and why."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from bus.messages import Outcome
from router.delivery.gate import Shut
from router.delivery.worker import Worker
from router.store import Store

READY: Final = "is ready"


class Part(NamedTuple):
    """Records of a work list in one state, and since when the first of them is on it (or waits)."""

    records: int
    since_ms: int


def hindrance(worker: Worker, now_ms: int) -> Shut | None:
    """Why nothing goes to a destination now, whatever is ready; None: it goes."""
    if shut := worker.gate.shut(now_ms):
        return shut
    breaker = worker.outage.breaker
    if breaker.is_open:
        why = f"the breaker of {worker.system} is open: {breaker.why}"
        return Shut(Outcome.WAITING, why, breaker.since_ms, breaker.until_ms)
    return None


def parts(store: Store, worker: Worker, now_ms: int) -> Mapping[Outcome, Part]:
    """The states that records of its work list are in. All that could go, were it not for what hinders the
    destination as a whole, counts as what that makes of it.
    """
    system, upto_ms = worker.system, worker.gate.upto_ms(now_ms)
    hindered, held = hindrance(worker, now_ms), worker.alarms.held_work.values()
    ((postponed, postponed_ms),) = store.read("postponed", system)
    ((ready, ready_ms),) = store.read("ready", system, upto_ms)
    ((later, later_ms),) = store.read("later", system, upto_ms) if worker.at_instants else ((0, 0),)
    found = [(Outcome.WAITING, count, since_ms) for _, count, since_ms in store.read("waits", system)]
    found += [(Outcome.HELD, 1, each.since_ms) for each in held]
    for state, count, since_ms in (
        (Outcome.RETRYING, postponed - len(held), postponed_ms),  # what is held is postponed too
        (Outcome.READY, ready, ready_ms),
        (Outcome.WAITING, later, later_ms),
    ):
        found.append((hindered.state if hindered else state, count, since_ms))
    summed: dict[Outcome, Part] = {}
    for state, count, since_ms in found:
        if count > 0:
            before = summed.get(state, Part(0, since_ms))
            summed[state] = Part(before.records + count, min(before.since_ms, since_ms))
    return summed


class Row(NamedTuple):
    """One record of a work list, as `work_of` has it."""

    since_ms: int
    attempt: int
    not_before_ms: int
    reason: str
    awaits: str
    waits_ms: int


def state_of(worker: Worker, key: str, row: Row, now_ms: int) -> Shut:
    """How it is with one record that a destination is to be told of."""
    if row.awaits:
        return Shut(Outcome.WAITING, row.reason, row.waits_ms, 0)
    if held := worker.alarms.held_work.get(key):
        return Shut(Outcome.HELD, held.reason, row.since_ms, row.not_before_ms)
    if hindered := hindrance(worker, now_ms):
        because = "" if hindered.state is Outcome.PAUSED else "waits because "
        return hindered._replace(why=f"{because}{hindered.why}", since_ms=row.since_ms)
    if row.not_before_ms > now_ms:
        return Shut(Outcome.RETRYING, f"is tried again: {row.reason}", row.since_ms, row.not_before_ms)
    if row.since_ms > worker.gate.upto_ms(now_ms):
        next_ms = worker.gate.next_ms(now_ms)
        return Shut(Outcome.WAITING, "waits for the next time of its schedule", row.since_ms, next_ms)
    return Shut(Outcome.READY, READY, row.since_ms, 0)
