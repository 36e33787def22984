"""The work list of one destination -> map, compare, send, one commit, audit.

A record is sent as it is at that moment. So a retry, a second mark, or a crash between send and commit can
only bring the destination to where the record is, never back.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final, NamedTuple

from bus import subjects
from bus.adapter import Delivery, Destination, Listed, Lists, Receipt, Sleep
from bus.errors import Unavailable
from bus.messages import Op, Outcome, Record
from router.core.breaker import State
from router.core.delivery import HELD_UNKNOWN, Planned, Route
from router.core.held import Given
from router.core.pace import Pace
from router.core.retry import POISON_ATTEMPTS_MAX, wait_s
from router.core.rules import DestinationRule
from router.database import Write
from router.delivery.alarms import Alarms
from router.delivery.both_ways import BothWays
from router.delivery.failures import Failures
from router.delivery.gate import Gate
from router.delivery.leaving import Leaving
from router.delivery.order import Order, without
from router.delivery.outage import ROTATE_S, Judged, Outage
from router.delivery.planning import Planning
from router.delivery.quota import Quota
from router.delivery.sending import AdapterBug, Sending
from router.delivery.settled import Claim, Settled, Telling, claims_in, settled_by, settling
from router.modes import mode_now
from router.outbox import Outbox, audit_messages
from router.records import Records
from router.steps import to_end
from router.store import Store

RETRY_S: Final = 5.0
OUTBOX_MAX: Final = 5_000
HELD_S: Final = 300.0
"""How long until a destination is asked again whether it still holds a removal."""
REST_MAX_S: Final = 600.0
"""The clock is looked at again after this: it may have been put right meanwhile."""


class Batch(NamedTuple):
    """Claims with their plans: what is sent at once. `held`: receipts of those beyond a limit. `given`: what
    the system was given and may not have taken up.
    """

    planned: Sequence[tuple[Claim, Record, Planned]]
    deliveries: Sequence[Delivery]
    held: Mapping[str, Receipt]
    given: Mapping[str, Given]


class Worker:
    """Brings one destination up to date, as fast as it takes it, and slows nobody else."""

    def __init__(
        self,
        *,
        system: str,
        adapter: Destination,
        routes: Mapping[str, Route],
        rule: DestinationRule,
        both_ways: BothWays,
        store: Store,
        records: Records,
        outbox: Outbox,
        gate: Gate,
        order: Order,
        key: bytes,
        epoch: int,
        tokens: subjects.Tokens,
        now_ms: Callable[[], int],
        sleep: Sleep,
        jitter: Callable[[], float],
        trouble: Callable[[str], None],
    ) -> None:
        self.system = system
        self.routes = routes
        self.outcomes: Counter[str] = Counter()
        self.last_delivery_ms = 0
        self._rule_mode = rule.mode
        self._linger_s = rule.linger_s
        self._started_ms = now_ms()
        self._pace = Pace.of(rule.rate_per_s, rule.burst, self._started_ms)
        self._quota = Quota(rule.creates_per_hour, rule.removes_per_hour)
        self.both_ways = both_ways
        self._store = store
        self._records = records
        self._outbox = outbox
        self.telling = Telling(system, epoch, tokens)
        self._now_ms = now_ms
        self._sleep = sleep
        self._jitter = jitter
        self._trouble = trouble
        self._news = asyncio.Event()
        self._planning = Planning(
            system=system,
            mode=lambda: self.mode,
            routes=routes,
            both_ways=both_ways,
            store=store,
            key=key,
            epoch=epoch,
            leaving=(leaving := Leaving(system, rule.entities, store, now_ms)),
        )
        self._leaving = leaving
        self._sending = Sending(system, adapter, rule.deadline_s, gathers=bool(rule.linger_s))
        self.outage = Outage(system, jitter)
        self.alarms = Alarms(system)
        self.failures = Failures(system, store)
        self.gate = gate
        self._order = order
        self._adapter = adapter

    @property
    def mode(self) -> str:
        """What may be done now: its file says it, or a person has approved more."""
        return mode_now(self._store, self.system, self._rule_mode)

    @property
    def claims_max(self) -> int:
        """How many records it takes up at once, if there are so many."""
        return self._sending.records_max

    @property
    def listed(self) -> tuple[str, ...]:
        """The entities of which all that it has can be read back."""
        there = self._adapter.listed if isinstance(self._adapter, Lists) else ()
        return tuple(sorted(name for name in self.routes if name in there))

    @property
    def at_instants(self) -> bool:
        """It takes up what is on the work list at its own times, and nothing between them."""
        return self.gate.at_instants

    @property
    def listing(self) -> Callable[[str], AsyncIterator[Sequence[Listed]]] | None:
        """Reads back all that it has of an entity, if its adapter can."""
        return self._adapter.listing if isinstance(self._adapter, Lists) else None

    @property
    def unreachable(self) -> str:
        """Why the system takes nothing now, or ''."""
        return self.outage.breaker.why

    def wake(self) -> None:
        """There may be work."""
        self.gate.looks_again()
        self._news.set()

    async def run(self) -> None:
        """Deliver for ever."""
        full = False  # more waits already: there is nothing to gather for
        while True:
            self._news.clear()
            if rest_s := self._rest_s():
                await self._until_news(rest_s)
                continue
            if self._linger_s and not full and self._claims(1):
                await self._sleep(self._linger_s)
            while self._outbox.waiting > OUTBOX_MAX:  # the bus does not take what we have to say
                await self._sleep(RETRY_S)
            if self.gate.shut_s(self._now_ms()):  # meanwhile
                continue
            most = self._most()
            claims = self._claims(most)
            full = len(claims) == most
            if not claims:
                await self._wait()
                continue
            try:
                await to_end(self.deliver(claims))
            except Unavailable as error:  # our own disk: what was sent is compared again, not sent twice
                self._trouble(str(error))
                self.outage.lost()
                self.alarms.lost()
                await self._sleep(RETRY_S)

    # When, and how much at once

    def _rest_s(self) -> float:
        """For how long nothing may go: people say so, the system is down, or has had what its pace allows."""
        now_ms = self._now_ms()
        if shut_s := self.gate.shut_s(now_ms):
            return shut_s
        if (until_ms := self.outage.breaker.until_ms) > now_ms:
            return (until_ms - now_ms) / 1000
        self._pace = self._pace.at(now_ms)
        return self._pace.wait_s

    def _most(self) -> int:
        if self.outage.breaker.is_open:
            return 1  # the probe
        most = self._sending.most
        return min(most, max(self._pace.room, 1)) if self._pace.rate_per_s else most

    def _claims(self, most: int) -> list[Claim]:
        now_ms = self._now_ms()
        ((found,),) = self._store.read("claim_work", self.system, now_ms, self.gate.upto_ms(now_ms), most)
        return claims_in(found)

    async def _wait(self) -> None:
        """Until there is news, or a postponed record is due."""
        now_ms = self._now_ms()
        [(due,)] = self._store.read("next_due", self.system, self.gate.upto_ms(now_ms))
        due = self.gate.drained(now_ms, due)
        if due is None:
            await self._news.wait()
        else:
            await self._until_news(max(due - self._now_ms(), 1) / 1000)

    async def _until_news(self, most_s: float) -> None:
        async with asyncio.TaskGroup() as group:
            timer = group.create_task(self._alarm(min(most_s, REST_MAX_S)))
            await self._news.wait()
            timer.cancel()

    async def _alarm(self, after_s: float) -> None:
        await self._sleep(after_s)
        self._news.set()

    # One batch

    async def deliver(self, claims: Sequence[Claim]) -> None:
        """Send what has to be sent, and settle every claim in one commit."""
        batch = self._batch(claims)
        receipts: Mapping[str, Receipt] = {}
        if batch.deliveries:
            self._pace = self._pace.take(len(batch.deliveries))
            try:
                receipts = await self._sending.apply(batch.deliveries)
            except Unavailable as error:
                self._quota.undo()
                await self._put_off([claim for claim, _, _ in batch.planned], error)
                return
        now_ms = self._now_ms()
        probes = self.outage.state(now_ms) is not State.CLOSED
        judged = self.outage.answered(receipts, now_ms) if batch.deliveries else Judged({}, [], "", [])
        receipts = {**batch.held, **judged.receipts} if batch.held else judged.receipts
        settled = [
            settled_by(claim, record, found, receipts.get(claim.key), in_doubt=self._in_doubt(claim))
            for claim, record, found in batch.planned
        ]
        # Until the ledger knows: the disk may be full. One that stays listed is in doubt as it was.
        self._sending.unanswered.update([each.claim.key for each in settled if not each.is_open])
        await self._commit(settled, judged, batch.given, probes=probes)

    def _batch(self, claims: Sequence[Claim]) -> Batch:
        # What a put is about may be committed, and not at hand yet: of these a change's rev tells nothing.
        self._records.forget([claim.key for claim in claims if claim.put])
        records = self._records.many([claim.key for claim in claims])
        # Just committed, and not at hand yet: the next round has it.
        claims = self.both_ways.mine([each for each in claims if records[each.key].rev >= each.rev], records)
        given = self.both_ways.given(claims)
        because = self._order.look(claims, records, self.mode)
        planned = self._planning.many(claims, records, given, self._may_differ, because)
        held = self._order.hold(planned)
        held |= self._over_quota(without(held, planned))
        deliveries = [
            found.delivery for claim, _, found in planned if found.delivery and claim.key not in held
        ]
        self.both_ways.sending(without(held, planned), given)
        return Batch(planned, deliveries, held, given)

    def planned(self, claims: Sequence[Claim]) -> list[tuple[Claim, Record, Planned]]:
        """What bringing these up to date would take, with the rules of now. Nothing is done."""
        records = self._store.records([claim.key for claim in claims])
        claims = self.both_ways.mine(claims, records)
        because, _ = self._order.found(claims, records, self.mode)
        return self._planning.many(claims, records, self.both_ways.given(claims), self._may_differ, because)

    def _over_quota(self, planned: Sequence[tuple[Claim, Record, Planned]]) -> dict[str, Receipt]:
        if not self._quota.limits:
            return {}
        wanted = [(found.delivery, claim.held.is_new) for claim, _, found in planned if found.delivery]
        return self._quota.hold(wanted, self._now_ms())

    def _in_doubt(self, claim: Claim) -> bool:
        """It may have been sent without an answer: by us, or by an earlier life that had it on its list."""
        return claim.force or claim.key in self._sending.unanswered or claim.since_ms <= self._started_ms

    def _may_differ(self, claim: Claim, record: Record) -> bool:
        """What is there may not be what the ledger says: who says no, or later, may have written."""
        unsure = claim.key in self._sending.put_off or self._in_doubt(claim)
        return claim.record in self.failures or (unsure and record.rev > claim.held.rev + 1)

    async def _commit(
        self, settled: Sequence[Settled], judged: Judged, given: Mapping[str, Given], *, probes: bool = False
    ) -> None:
        """One commit for all: ledger, work list, outbox. `probes`: no attempt of a record is used up."""
        now_ms = self._now_ms()
        done = self.failures.resolving([each for each in settled if not each.is_open])
        later = [each for each in settled if each.is_open]
        telling = self.telling
        messages = audit_messages(
            [audited for each in done for audited in telling.audited(each, self._owner(each.record), now_ms)]
        )
        messages += [message for each in done if each.is_news for message in telling.told(each, now_ms)]
        failed = sum([each.outcome is Outcome.FAILED for each in done])
        messages += [*self.alarms.told(settled, failed, now_ms), *judged.told]
        letters = self._outbox.put(messages)
        waking = self._order.waking(done)
        again = [(self.system, key, judged.put, now_ms) for key in judged.again]
        await self._store.commit(
            [
                self._store.write("save_ledger", [telling.ledger_row(each, now_ms) for each in done]),
                *settling(self._store, self.system, done, now_ms),
                *self.both_ways.writes(done, given, now_ms),
                self._postponed(later, now_ms, counts=not probes),
                *self._order.writes(done, later, now_ms),
                *waking,
                *self._leaving.writes(done, now_ms),
                *self.failures.writes(done, now_ms),
                self._store.write("put", again),
                *letters.writes,
            ]
        )
        self._sending.settled([each.claim.key for each in done])
        self.failures.settled(done)
        self.both_ways.settled(done)
        self.outcomes.update([each.outcome for each in done])
        self._planning.own_ids = self._planning.own_ids or any([each.local_id for each in done])
        if done:
            self.last_delivery_ms = now_ms
        self._order.settled(done, woken=bool(waking))
        letters.send()

    def _owner(self, record: Record) -> str:
        route = self.routes.get(record.entity)
        return route.owner if route else ""

    # When it does not work

    def _postponed(self, later: Sequence[Settled], now_ms: int, *, counts: bool) -> Write:
        rows = []
        for each in later:
            if each.outcome is Outcome.WAITING:
                continue
            held = each.outcome is Outcome.HELD  # a person's turn: no attempt of the record's is used up
            attempt = each.claim.attempt + (each.tried and counts and not held)
            later_s = HELD_S if held else wait_s(attempt, each.retry_after_s, self._jitter())
            rows.append((self.system, each.claim.turn, attempt, now_ms + int(later_s * 1000), each.reason))
        return self._store.write("postpone_work", rows)

    async def _put_off(self, claims: Sequence[Claim], error: Unavailable) -> None:
        """The system as a whole does not answer: what waits stays as it is, and goes when it does."""
        alone, bug = len(claims) == 1, isinstance(error, AdapterBug)
        if alone and bug and claims[0].attempt + 1 >= POISON_ATTEMPTS_MAX:
            await self._bury(claims[0], error)
            return
        now_ms = self._now_ms()
        later_s, told = self.outage.failed(error, now_ms)
        rows = []
        if alone or bug:  # it may be the record: another one is the next
            due = now_ms + int((later_s + ROTATE_S + self._sending.behind_s) * 1000)
            rows = [(self.system, claim.turn, claim.attempt + bug, due, error.message) for claim in claims]
        letters = self._outbox.put(told)
        await self._store.commit([self._store.write("postpone_work", rows), *letters.writes])
        letters.send()
        self._trouble(str(error))

    async def _bury(self, claim: Claim, error: Unavailable) -> None:
        """A record on which the adapter has raised each time, alone: set aside, so that the rest goes on."""
        record = self._records.many([claim.key])[claim.key]
        op = Op.DELETE if record.deleted else Op.UPDATE
        local_id, why = claim.held.local_id, error.message
        buried = Settled(claim, record, Outcome.FAILED, op, HELD_UNKNOWN, local_id, why)
        await self._commit([buried], Judged({}, [], "", []), {})
