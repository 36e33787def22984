"""The jobs of a router: each puts its records on the work list, some at a time, as fast as they are taken.

A job's facts are on STATE and in the index; how far it is, in the index, in the commit that puts the records.
So it goes on where it was, whatever has stopped. What has been put is delivered like anything else.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, Protocol

from bus import subjects
from bus.adapter import Sleep
from bus.codec import encode_state, unpack
from bus.errors import BusError, Garbage, Unavailable
from bus.messages import AuditRecord, Outcome, Record, Step
from bus.port import Bus, Message
from router.alerts import alert_message
from router.core.delivery import Planned, Route
from router.core.jobs import OPEN, Job, Kind, Members, State, job_of
from router.core.rules import District
from router.database import Write
from router.delivery.settled import Claim
from router.outbox import Outbox, audit_messages
from router.replay.comparing import Comparing, Listing
from router.replay.finding import members_of
from router.replay.survey import by_rules
from router.steps import to_end
from router.store import Store

LOOK_S: Final = 0.1
"""How often a job that runs looks whether there is room for more."""
LATER_MS: Final = 30_000
"""In how long a job is tried again whose destination, or disk, could not answer."""
TENTHS: Final = 10
LISTED_MAX: Final = 200
OURSELVES: Final = "yellowbus"
DIFFERS: Final = ("missing", "different", "too much")


class Standing(NamedTuple):
    """A job, and how far it is: the records up to `after` are put. `total` -1: not counted yet."""

    job: Job
    after: int
    put: int
    total: int
    changed_ms: int


class Line(Protocol):
    """What delivers to a destination: how many records it takes up at once, and where to tell of work."""

    @property
    def claims_max(self) -> int: ...

    @property
    def at_instants(self) -> bool: ...

    def wake(self) -> None: ...

    @property
    def routes(self) -> Mapping[str, Route]: ...

    @property
    def listing(self) -> Listing | None: ...

    @property
    def listed(self) -> tuple[str, ...]: ...

    def planned(self, claims: Sequence[Claim]) -> list[tuple[Claim, Record, Planned]]: ...


class Outside(Protocol):
    """Of the world: a clock, and whom to tell what hinders the work."""

    @property
    def now_ms(self) -> Callable[[], int]: ...

    @property
    def sleep(self) -> Sleep: ...

    @property
    def trouble(self) -> Callable[[str], None]: ...


class Jobs:
    """Of all destinations; one that is not ended for each."""

    def __init__(
        self,
        *,
        store: Store,
        outbox: Outbox,
        lines: Mapping[str, Line],
        district: District,
        world: Outside,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._lines = lines
        self._rules = {each.name: each.destination for each in district.systems.values() if each.destination}
        self._guards = district.guards
        self._tokens = subjects.Tokens(district.key)
        self._now_ms = world.now_ms
        self._sleep = world.sleep
        self._trouble = world.trouble
        self._members: dict[str, Members] = {}
        self._put_ms: dict[str, int] = {}
        self._later_ms: dict[str, int] = {}
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()

    # What is there

    def listed(self, most: int = LISTED_MAX) -> list[Standing]:
        """The newest first."""
        return [_standing(row) for row in self._store.read("jobs", most)]

    def found(self, id_: str) -> Standing:
        """Raises BusError if there is none of that id."""
        rows = self._store.read("job", id_)
        if not rows:
            raise BusError(f"{id_}: there is no such job. See: yellowbus replay list")
        return _standing(rows[0])

    def outcomes(self, id_: str) -> dict[str, int]:
        """How its puts have ended."""
        return dict(self._store.read("job_outcomes", id_))

    def waiting(self, id_: str) -> int:
        """How many of its records are on the work list."""
        return int(self._store.read("puts", id_)[0][0])

    def report(self, id_: str) -> dict[str, Any]:
        """What it has found, if it is one that looks first."""
        rows = self._store.read("report", id_)
        return dict(json.loads(rows[0][0])) if rows else {}

    def comparable(self, system: str) -> tuple[str, ...]:
        """The entities of which all that a destination has can be read back."""
        return self._lines[system].listed

    def at_work(self, system: str) -> Standing | None:
        """The job of a destination that is not at its end."""
        rows = self._store.read("job_at_work", system)
        return _standing(rows[0]) if rows else None

    # What people do

    async def start(self, wanted: Job, *, more: Sequence[Write] = ()) -> Job:
        """With the id that it gets; `more` goes into its commit. Raises BusError if one is at work there."""
        async with self._turn:
            if other := self.at_work(wanted.system):
                raise BusError(
                    f"{wanted.system}: {other.job.id} is at work there, and is {other.job.state}. One job at"
                    f" a time: wait, or cancel it: yellowbus replay cancel {other.job.id} --why ..."
                )
            number = self._store.read("next_job")[0][0]
            job = wanted._replace(id=f"{wanted.kind}.{number}")
            row = ("save_job", _row(job, job.at_ms))
            await self._tell(job, Outcome.ACCEPTED, "started", job.who, _asked(job), row, more)
        self._news.set()
        return job

    async def pause(self, id_: str, who: str, why: str) -> Job:
        """What it has put already still goes. Raises BusError if it does not run."""
        return await self._turned(id_, {State.RUNNING}, State.PAUSED, Outcome.PAUSED, who, why)

    async def resume(self, id_: str, who: str, why: str) -> Job:
        """Raises BusError if it is not paused."""
        return await self._turned(id_, {State.PAUSED}, State.RUNNING, Outcome.ACCEPTED, who, why)

    async def cancel(self, id_: str, who: str, why: str) -> Job:
        """What it has put and is not sent yet is taken off the list. Raises BusError if it has ended."""
        return await self._turned(id_, set(OPEN), State.CANCELLED, Outcome.DISCARDED, who, why)

    async def _turned(
        self, id_: str, may_be: set[State], to: State, outcome: Outcome, who: str, why: str
    ) -> Job:
        async with self._turn:
            job = self.found(id_).job
            if job.state not in may_be:
                raise BusError(f"{id_}: it is {job.state}. Nothing was done")
            # Who lets one go on that was beyond its limits has seen by how much.
            job = job._replace(state=to, approved=job.approved or to is State.RUNNING)
            more = [self._store.write(name, [(id_,)]) for name in ("drop_puts", "unmark_puts")]
            await self._tell(
                job, outcome, f"{to}.{self._now_ms()}", who, f"{to}: {why}", self._turn_row(job),
                more=more if to is State.CANCELLED else (),
            )  # fmt: skip
        self._news.set()
        return job

    def _turn_row(self, job: Job) -> tuple[str, tuple[Any, ...]]:
        return "turn_job", (job.id, json.dumps(job.entries()), job.state, self._now_ms())

    async def _tell(
        self,
        job: Job,
        outcome: Outcome,
        what: str,
        who: str,
        reason: str,
        row: tuple[str, tuple[Any, ...]],
        more: Sequence[Write] = (),
        told: Sequence[Message] = (),
    ) -> None:
        """One commit: the job as it is now, its fact on STATE, and who made it so."""
        id_ = f"{job.id}/{what}"
        subject = subjects.state("job", job.system, "-", self._tokens(job.id))
        audited = self._audited(job, id_, outcome, reason, who)
        letters = self._outbox.put(
            [Message(subject, encode_state(job.entries()), id_), *audit_messages([audited]), *told]
        )
        query, values = row
        await self._store.commit([self._store.write(query, [values]), *more, *letters.writes])
        letters.send()

    def _audited(self, job: Job, id_: str, outcome: Outcome, reason: str, who: str = "") -> AuditRecord:
        return AuditRecord(
            id_, Step.REPLAY, outcome, self._now_ms(), destination=job.system, reason=reason, who=who
        )

    # The work

    async def run(self) -> None:
        """Bring jobs to their end, for ever."""
        while True:
            self._news.clear()
            await self._look_at_rules()
            running = [each for each in self._at_work() if each.job.system in self._lines]
            if not running:
                await self._news.wait()
                continue
            for each in running:
                if self._later_ms.get(each.job.id, 0) > self._now_ms():
                    continue
                try:
                    await to_end(self.step(each.job.id))
                except Unavailable as error:
                    self._trouble(f"{each.job.id}: {error}")
                    self._later_ms[each.job.id] = self._now_ms() + LATER_MS
            await self._sleep(LOOK_S)

    def _at_work(self) -> list[Standing]:
        return [_standing(row) for row in self._store.read("running_jobs")]

    async def _look_at_rules(self) -> None:
        """A destination whose file says something else of records than before gets a job for what differs."""
        for system, rule in self._rules.items():
            written = self._store.read("rules", system)
            if written == [(rule.written,)]:
                continue
            save = self._store.write("save_rules", [(system, rule.written)])
            if not written:
                await self._store.commit([save])
                continue
            why = "its file has been edited"
            if other := self.at_work(system):
                if other.job.kind is not Kind.RULES:
                    continue  # when that has ended
                await self.cancel(other.job.id, OURSELVES, f"{why} again")
            upto, now_ms = self._store.position("changes"), self._now_ms()
            entities = tuple(sorted(rule.entities))
            wanted = Job(
                "", Kind.RULES, system, 0, now_ms, 1, upto, entities, "", False, 0.0, OURSELVES, why, now_ms
            )  # fmt: skip
            await self.start(wanted, more=[save])

    async def _members_of(self, job: Job) -> Members | None:
        """None: a person has to look first."""
        line, now_ms = self._lines[job.system], self._now_ms()
        if job.kind is Kind.RULES:
            found = await by_rules(self._store, job, line.planned, self._guards, now_ms)
        elif job.kind is Kind.COMPARE and line.listing:
            comparing = Comparing(self._store, job, line.planned, line.routes, now_ms)
            found = await comparing.all(line.listing, self._guards)
        else:
            return await members_of(self._store, job)
        report = self._store.write("save_report", [(job.id, json.dumps(found.report))])
        if not found.beyond or job.approved or not len(found.members):
            letters = self._outbox.put(self._differs(job, found.report))
            await self._store.commit([report, *letters.writes])
            letters.send()
            return found.members
        text = (
            f"{job.system}: {job.id} waits, because {job.why}, and that means {found.beyond}."
            f" See: yellowbus replay show {job.id}"
        )
        alert = alert_message("held-job", job.system, job.id, self._now_ms(), text)
        async with self._turn:
            held = self.found(job.id).job
            if held.state is State.RUNNING:
                held = held._replace(state=State.PAUSED)
                reason = f"beyond its limits: {found.beyond}"
                row = self._turn_row(held)
                await self._tell(held, Outcome.HELD, "held", "", reason, row, [report], [alert])
        return None

    def _differs(self, job: Job, report: Mapping[str, Any]) -> list[Message]:
        """An alert, of a compare that nobody looks at."""
        found = {
            what: sum(count for _, each, count in report.get("compared", ()) if each == what)
            for what in DIFFERS
        }
        if job.who != OURSELVES or not any(found.values()):
            return []
        told = ", ".join(f"{count:,} {what}" for what, count in found.items() if count)
        text = f"{job.system} has not what it was told: {told}. See: yellowbus replay show {job.id}"
        return [alert_message("compare-differs", job.system, job.id, self._now_ms(), text)]

    async def step(self, id_: str) -> None:
        """Put as many records as there is room for; end the job when all are put and taken."""
        if id_ not in self._members:
            found_members = await self._members_of(self.found(id_).job)
            if found_members is None:
                return
            self._members[id_] = found_members
        async with self._turn:
            found = self.found(id_)
            if found.job.state is not State.RUNNING:
                self._members.pop(id_, None)
                return
            members = self._members[id_]
            # No room is taken by those that wait for others: these may never come.
            [(waiting, for_others)] = self._store.read("puts", id_)
            page = members.after(found.after, self._room(found.job, waiting - for_others))
            if page:
                await self._put(found, page, len(members))
            elif not waiting and not members.after(found.after, 1):
                await self._end(found)

    def _room(self, job: Job, waiting: int) -> int:
        """So few that what is new does not wait behind a job, so many that the system has work."""
        line = self._lines[job.system]
        most, waiting = line.claims_max, 0 if line.at_instants else waiting  # then it takes all that is there
        if not job.rate_per_s:
            return most - waiting if waiting <= most // 2 else 0
        since_ms = self._put_ms.setdefault(job.id, self._now_ms() - 1000)
        due = int((self._now_ms() - since_ms) * job.rate_per_s / 1000)
        return max(0, min(due, most - waiting, max(1, int(job.rate_per_s))))

    async def _put(self, found: Standing, page: list[tuple[int, bool]], total: int) -> None:
        job, now_ms = found.job, self._now_ms()
        rows = [(job.system, record, job.id, job.force, told, now_ms) for record, told in page]
        put = found.put + len(page)
        messages = []
        if put * TENTHS // total > found.put * TENTHS // total:
            reason = f"{put:,} of {total:,} records put"
            messages = audit_messages([self._audited(job, f"{job.id}/put.{put}", Outcome.READY, reason)])
        letters = self._outbox.put(messages)
        await self._store.commit(
            [
                self._store.write("put_records", rows),
                self._store.write("move_job", [(page[-1][0], put, total, now_ms, job.id)]),
                *letters.writes,
            ]
        )
        letters.send()
        if job.rate_per_s:
            since_ms = self._put_ms[job.id] + int(len(page) * 1000 / job.rate_per_s)
            self._put_ms[job.id] = max(since_ms, now_ms - 1000)  # what was not used up is gone
        self._lines[job.system].wake()

    async def _end(self, found: Standing) -> None:
        job = found.job._replace(state=State.DONE)
        counts = ", ".join(f"{count:,} {outcome}" for outcome, count in self.outcomes(job.id).items())
        reason = f"done: {found.put:,} records" + (f", {counts}" if counts else "")
        counted = self._store.write("move_job", [(found.after, found.put, found.put, self._now_ms(), job.id)])
        await self._tell(job, Outcome.DELIVERED, "done", "", reason, self._turn_row(job), more=[counted])
        self._members.pop(job.id, None)
        self._put_ms.pop(job.id, None)


async def jobs_on_state(bus: Bus) -> AsyncIterator[list[tuple[Any, ...]]]:
    """For `save_job`: all that STATE has. How far they were it does not say: they begin again."""
    async for page in bus.read(subjects.STATE, subject="state.job.>"):
        rows = []
        for stored in page:
            with suppress(Garbage, KeyError, ValueError, TypeError):
                rows.append(_row(job_of(unpack(stored.body)), stored.at_ms))
        yield rows


def _row(job: Job, at_ms: int) -> tuple[Any, ...]:
    number = int(job.id.partition(".")[2])
    return (job.id, number, job.system, json.dumps(job.entries()), job.state, 0, 0, -1, at_ms)


def _standing(row: tuple[Any, ...]) -> Standing:
    body, after, put, total, changed_ms = row
    return Standing(job_of(json.loads(body)), after, put, total, changed_ms)


def _asked(job: Job) -> str:
    """In the audit: what was asked for, and why."""
    force = ", forced" if job.force else ""
    return f"changes {job.first_seq} to {job.last_seq}, {job.from_ms} to {job.until_ms} ms{force}: {job.why}"
