"""The work list of one destination -> map, compare, send, one commit, audit.

A record is sent as it is at that moment. So a retry, a second mark, or a crash between send and commit can
only bring the destination to where the record is, never back.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final

from bus import subjects
from bus.adapter import Delivery, Destination, Listed, Lists, Receipt, Sleep
from bus.errors import Unavailable
from bus.messages import Op, Outcome, Record
from bus.port import Message
from router.alerts import KINDS, Seldom, alert_message, sentence
from router.core.delivery import HELD_UNKNOWN, Planned, Route, backoff_s
from router.core.held import Given
from router.core.rules import DestinationRule
from router.database import Write
from router.delivery.both_ways import BothWays
from router.delivery.failures import Failures
from router.delivery.leaving import Leaving
from router.delivery.order import Order, without
from router.delivery.planning import Planning
from router.delivery.quota import Quota
from router.delivery.settled import Claim, HeldWork, Settled, Telling, claims_in, settled_by, settling
from router.modes import mode_now
from router.outbox import Outbox, audit_messages
from router.records import Records
from router.steps import to_end
from router.store import Store

CLAIM_MAX: Final = 1_000
CLAIM_GATHERED_MAX: Final = 6_000
"""More would cost memory, and the file that is written again each time costs less than that."""
DEADLINE_S: Final = 300.0
POISON_ATTEMPTS_MAX: Final = 3
RETRY_S: Final = 5.0
ASKED_MAX_S: Final = 3_600.0
OUTBOX_MAX: Final = 5_000
NOBODY_GIVEN: Final[Mapping[str, Given]] = {}
HELD_S: Final = 300.0
"""How long until a destination is asked again whether it still holds a removal."""


class AdapterBug(Unavailable):
    """The adapter raised what it must not. Alone, the record that brings it out is found."""


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
        self.unreachable = ""
        self.last_delivery_ms = 0
        self._adapter = adapter
        self._rule_mode = rule.mode
        self._linger_s = rule.linger_s
        self._rate_per_s = rule.rate_per_s
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
        self._failures = 0
        self._alone_next = 0
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
        self._started_ms = now_ms()
        self._unanswered: set[str] = set()
        self.held_work: dict[str, HeldWork] = {}
        self.failures = Failures(system, store)
        self._order = order
        self._seldom = Seldom()
        self._outage_told = False
        self._in_time_max = CLAIM_GATHERED_MAX

    @property
    def mode(self) -> str:
        """What may be done now: its file says it, or a person has approved more."""
        return mode_now(self._store, self.system, self._rule_mode)

    @property
    def claims_max(self) -> int:
        """How many records it takes up at once, if there are so many."""
        return min(self._adapter.batch_records_max, CLAIM_GATHERED_MAX if self._linger_s else CLAIM_MAX)

    @property
    def listing(self) -> Callable[[str], AsyncIterator[Sequence[Listed]]] | None:
        """Reads back all that it has of an entity, if its adapter can."""
        return self._adapter.listing if isinstance(self._adapter, Lists) else None

    def wake(self) -> None:
        """There may be work."""
        self._news.set()

    async def run(self) -> None:
        """Deliver for ever."""
        full = False  # more waits already: there is nothing to gather for
        while True:
            self._news.clear()
            if self._linger_s and not full and self._claims(1):
                await self._sleep(self._linger_s)
            while self._outbox.waiting > OUTBOX_MAX:  # the bus does not take what we have to say
                await self._sleep(RETRY_S)
            most = self._take_max()
            claims = self._claims(most)
            full = len(claims) == most
            if not claims:
                await self._wait()
                continue
            try:
                rest_s = await to_end(self.deliver(claims))
            except Unavailable as error:  # our own disk: what was sent is compared again, not sent twice
                self._trouble(str(error))
                self._seldom, self._outage_told = Seldom(), False  # alerts went with it: tell them again
                rest_s = RETRY_S
            if rest_s:
                await self._sleep(rest_s)

    def _take_max(self) -> int:
        if self._alone_next:
            return 1
        most = min(self.claims_max, self._in_time_max)
        return max(1, min(most, int(self._rate_per_s))) if self._rate_per_s else most

    def _claims(self, most: int) -> list[Claim]:
        ((found,),) = self._store.read("claim_work", self.system, self._now_ms(), most)
        return claims_in(found)

    async def _wait(self) -> None:
        """Until there is news, or a postponed record is due."""
        due = self._store.read("next_due", self.system)[0][0]
        if due is None:
            await self._news.wait()
            return
        async with asyncio.TaskGroup() as group:
            timer = group.create_task(self._alarm(max(due - self._now_ms(), 1) / 1000))
            await self._news.wait()
            timer.cancel()

    async def _alarm(self, after_s: float) -> None:
        await self._sleep(after_s)
        self._news.set()

    async def deliver(self, claims: Sequence[Claim]) -> float:
        """Send what has to be sent, and settle every claim in one commit.

        Returns for how many seconds to leave the system alone then.
        """
        # What a put is about may be committed, and not at hand yet: of these a change's rev tells nothing.
        self._records.forget([claim.key for claim in claims if claim.put])
        records = self._records.many([claim.key for claim in claims])
        # Just committed, and not at hand yet: the next round has it.
        claims = self.both_ways.mine([each for each in claims if records[each.key].rev >= each.rev], records)
        given = self.both_ways.given(claims)
        because = self._order.look(claims, records, self.mode)
        planned = self._planning.many(claims, records, given, self._in_doubt, because)
        held = self._order.hold(planned)
        held |= self._over_quota(without(held, planned))
        deliveries = [
            found.delivery for claim, _, found in planned if found.delivery and claim.key not in held
        ]
        self.both_ways.sending(without(held, planned), given)
        try:
            receipts = {**held, **await self._apply(deliveries)} if deliveries else held
        except Unavailable as error:
            self._unanswered.update(delivery.key for delivery in deliveries)
            return await self._postpone_all(claims, error)
        self._unanswered.update([each.key for each in deliveries if each.key not in receipts])
        if deliveries:
            await self._reached()
        settled = [
            settled_by(claim, record, found, receipts.get(claim.key), in_doubt=self._in_doubt(claim))
            for claim, record, found in planned
        ]
        # Until the ledger knows: the disk may be full. One that stays listed is in doubt as it was.
        self._unanswered.update([each.claim.key for each in settled if not each.is_open])
        await self._commit(settled, given)
        return len(deliveries) / self._rate_per_s if self._rate_per_s else 0.0

    def planned(self, claims: Sequence[Claim]) -> list[tuple[Claim, Record, Planned]]:
        """What bringing these up to date would take, with the rules of now. Nothing is done."""
        records = self._store.records([claim.key for claim in claims])
        claims = self.both_ways.mine(claims, records)
        return self._planning.many(claims, records, self.both_ways.given(claims), self._in_doubt)

    def _over_quota(self, planned: Sequence[tuple[Claim, Record, Planned]]) -> dict[str, Receipt]:
        if not self._quota.limits:
            return {}
        wanted = [(found.delivery, claim.held.is_new) for claim, _, found in planned if found.delivery]
        return self._quota.hold(wanted, self._now_ms())

    def _in_doubt(self, claim: Claim) -> bool:
        """It may have been sent without an answer: by us, or by an earlier life that had it on its list."""
        return claim.force or claim.key in self._unanswered or claim.since_ms <= self._started_ms

    async def _apply(self, deliveries: Sequence[Delivery]) -> dict[str, Receipt]:
        """Call the adapter. Raises Unavailable, also for a call that hangs and for an adapter's bug."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                receipts = await self._adapter.apply(deliveries)
        except TimeoutError:
            # It may only be slow: so many in that time were too many.
            self._in_time_max = max(1, len(deliveries) // 2)
            what = f"{self.system}: {len(deliveries)} records not done within {DEADLINE_S:.0f} s"
            raise Unavailable(what, runbook="destination-unreachable") from None
        except Unavailable:
            raise
        except Exception as error:
            # A bug in one adapter must not stop the others. Each record of this batch goes alone next.
            self._alone_next = max(self._alone_next, len(deliveries))
            raise AdapterBug(f"{self.system}: bug: {type(error).__name__} in its adapter") from error
        self._alone_next = max(self._alone_next - 1, 0)
        # Twice as many may be in time too; a few that were say nothing of many.
        self._in_time_max = min(max(self._in_time_max, 2 * len(deliveries)), CLAIM_GATHERED_MAX)
        return {receipt.key: receipt for receipt in receipts}

    async def _commit(self, settled: Sequence[Settled], given: Mapping[str, Given] = NOBODY_GIVEN) -> None:
        """One commit for all: ledger, work list, outbox."""
        now_ms = self._now_ms()
        done = self.failures.resolving([each for each in settled if not each.is_open])
        later = [each for each in settled if each.is_open]
        telling = self.telling
        messages = audit_messages(
            [audited for each in done for audited in telling.audited(each, self._owner(each.record), now_ms)]
        )
        messages += [message for each in done if each.is_news for message in telling.told(each, now_ms)]
        messages += self._alerts(settled, now_ms)
        letters = self._outbox.put(messages)
        waking = self._order.waking(done)
        await self._store.commit(
            [
                self._store.write("save_ledger", [telling.ledger_row(each, now_ms) for each in done]),
                *settling(self._store, self.system, done, now_ms),
                *self.both_ways.writes(done, given, now_ms),
                self._postponed(later, now_ms),
                *self._order.writes(later, now_ms),
                *waking,
                *self._leaving.writes(done, now_ms),
                *self.failures.writes(done, now_ms),
                *letters.writes,
            ]
        )
        self._unanswered.difference_update([each.claim.key for each in done])
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

    def _alerts(self, settled: Sequence[Settled], now_ms: int) -> list[Message]:
        """What a person has to look at: dead letters, and removals that a guard at the destination holds."""
        failed = sum(each.outcome is Outcome.FAILED for each in settled)
        if self.held_work:
            for each in settled:
                self.held_work.pop(each.claim.key, None)
        self.held_work.update(
            {each.claim.key: each.held_work for each in settled if each.outcome is Outcome.HELD}
        )
        told = []
        if failed and self._seldom.due("dead-letters", now_ms):
            text = (
                f"{self.system}: {failed} records went to the dead letters, and more may follow."
                f" See: yellowbus failed list --to {self.system}"
            )
            told.append(alert_message("dead-letters", self.system, str(now_ms), now_ms, text))
        if self.held_work and self._seldom.due("held-removals", now_ms):
            text = f"{self.system}: {len(self.held_work)} removals {self.held}"
            told.append(alert_message("held-removals", self.system, str(now_ms), now_ms, text))
        return told

    @property
    def held(self) -> str:
        """Why a guard at the destination holds removals, or ''."""
        return next((each.reason for each in self.held_work.values()), "")

    def _postponed(self, later: Sequence[Settled], now_ms: int) -> Write:
        rows = []
        for each in later:
            if each.outcome is Outcome.WAITING:
                continue
            held = each.outcome is Outcome.HELD  # a person's turn: no attempt of the record's is used up
            attempt = each.claim.attempt + (each.tried and not held)
            wait_s = HELD_S if held else self._backoff_s(attempt, each.retry_after_s)
            rows.append((self.system, each.claim.turn, attempt, now_ms + int(wait_s * 1000), each.reason))
        return self._store.write("postpone_work", rows)

    def _backoff_s(self, attempt: int, asked_s: float | None) -> float:
        """What the far end asked for, but an hour at most: a person may have mended it; else by attempts."""
        return min(asked_s, ASKED_MAX_S) if asked_s else backoff_s(max(attempt, 1), self._jitter())

    async def _postpone_all(self, claims: Sequence[Claim], error: Unavailable) -> float:
        """The system as a whole does not answer: everything stays on the list, and is tried again later.

        Returns in how many seconds.
        """
        self._failures += 1
        self.unreachable = error.message
        now_ms = self._now_ms()
        alone = len(claims) == 1 and isinstance(error, AdapterBug)
        if alone and claims[0].attempt + 1 >= POISON_ATTEMPTS_MAX:
            await self._bury(claims[0], error)
            return 0.0
        wait_s = self._backoff_s(self._failures, error.retry_after_s)
        # One that is late even alone lets the others pass: they may be in time.
        behind_s = 2 * DEADLINE_S if self._in_time_max == 1 else 0.0
        due = now_ms + int((wait_s + behind_s) * 1000)
        # An attempt is one of the record's own: a long outage must not use up those of all that wait.
        more = int(isinstance(error, AdapterBug))
        rows = [(self.system, claim.turn, claim.attempt + more, due, error.message) for claim in claims]
        writes = [self._store.write("postpone_work", rows)]
        kind = error.runbook if error.runbook in KINDS else "destination-unreachable"
        # Once for an outage; and one that comes and goes, once an hour.
        if not self._outage_told and self._seldom.due(kind, now_ms):
            self._outage_told = True
            text = f"{sentence(error.message)} Nothing is lost: its records wait, and go when it answers."
            letters = self._outbox.put([alert_message(kind, self.system, str(now_ms), now_ms, text)])
            await self._store.commit([*writes, *letters.writes])
            letters.send()
        else:
            await self._store.commit(writes)
        self._trouble(str(error))
        return wait_s

    async def _bury(self, claim: Claim, error: Unavailable) -> None:
        """A record on which the adapter has raised each time, alone: set aside, so that the rest goes on."""
        record = self._records.many([claim.key])[claim.key]
        op = Op.DELETE if record.deleted else Op.UPDATE
        local_id, why = claim.held.local_id, error.message
        await self._commit([Settled(claim, record, Outcome.FAILED, op, HELD_UNKNOWN, local_id, why)])

    async def _reached(self) -> None:
        self._failures = 0
        self.unreachable = ""
        self._outage_told = False
