"""The daemon's own parts in a simulated world: one seed, several lives, and what is left at the end."""

import asyncio
import contextlib
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from random import Random
from typing import Final, cast

from simulation.approvers import Approvers
from simulation.choices import Choices, Plan
from simulation.clock import START_MS, VirtualLoop, closed
from simulation.disk import Disk
from simulation.district import make_district
from simulation.life import Hook, Life, Trace
from simulation.school import School, Script, without_these
from simulation.streams import Server, Wire
from simulation.systems import Destination, Far, Readable, Source
from simulation.weather import Outage, Weather

from bus.adapter import Destination as Contract
from bus.adapter import Surroundings
from bus.codec import encode_event
from bus.errors import StreamFull, Unavailable
from bus.jetstream import JetStream
from bus.messages import Event, Op
from bus.port import Message
from router.core.rules import SystemRule
from router.daemon import check_index
from router.database import Database
from router.pipeline import Pipeline, build
from router.world import World


def _event(system: str, entity: str, op: Op) -> bytes:
    fields = {} if op is Op.DELETE else {"name": "somebody"}
    return encode_event(Event("x", system, entity, op, "s3", fields, op is not Op.DELETE, START_MS))


EPOCH: Final = 1
RUBBISH: Final = (
    ("event.sis.student.update", b""),
    ("event.sis.student.update", b"\x81\xa1v\x01"),
    ("event.nobody.student.update", _event("nobody", "student", Op.UPDATE)),
    ("event.sis.bus.create", _event("sis", "bus", Op.CREATE)),
    ("event.sis.student.update", _event("hr", "student", Op.UPDATE)),
    ("event.hr.student.delete", _event("hr", "student", Op.DELETE)),
    ("event.hr.class.create", _event("hr", "class", Op.CREATE)),
)
Act = Callable[[Pipeline], Awaitable[None]]
"""What a person does."""
SOON_S: Final = 10.0
QUIET_POLL_S: Final = 2.0
QUIET_POLL_MAX_S: Final = 300.0
QUIET_WITHIN_S: Final = 14 * 24 * 3600.0
RESTART_S: Final = 1.0
DRAIN_MAX_S: Final = 20.0

STATE: Final = Path(tempfile.gettempdir()) / "yellowbus-simulation"
"""Only for the empty folders that adapters are given."""


class Town:
    """All that outlives the router: bus, disk, systems, the clock, the weather."""

    def __init__(
        self, seed: object, *, size: int = 14, days: int = 4, faults: float = 0.5, plan: Plan | None = None
    ) -> None:
        self.seed = seed
        self.choices = Choices(seed, plan)
        self.loop = VirtualLoop(self.choices)
        self.trace = Trace(self.loop)
        self.weather = Weather(self.choices, share=faults)
        chance = self.choices.chance("town")
        self.chance = chance
        self.stormy = stormy = faults > 0
        self.server = Server(self.loop, changes_per_record_max=self._one_of("changes kept", 64, 64, 3))
        self.outage = Outage(self.loop, self.weather, self.trace)
        self.disk = Disk(self.weather)
        self.approvers = Approvers(Random(f"{seed}/approvers"), self.trace)
        self.district = self.approvers.limited(make_district(chance), often=stormy)
        self.batch_max = self._one_of("batch", 1000, 12, 60, 1000)
        self.apply_max = self._one_of("apply", 50, 1, 5, 50)
        self.readable = frozenset[str]()
        """Destinations that can say what they have."""
        self.is_drowsy = False
        """Looks that come again and again are seldom when nothing has been done for long."""
        self.schools = {
            "sis": School("sis", Random(f"{seed}/sis"), size),
            "hr": School("hr", Random(f"{seed}/hr"), size),
        }
        days = self.choices.of("town days", days, lambda chance: days)
        without = frozenset(self.choices.of("town without", [], lambda chance: []))
        self.scripts: dict[str, list[Script]] = {
            name: without_these(school.scripts(days), name, without) for name, school in self.schools.items()
        }
        self.fars = {
            "lms": Far("lms", compares=True, gives_ids=False, hates=self._some_keys("hates")),
            "idp": Far("idp", compares=False, gives_ids=True, poison=self._some_keys("poison")),
            "files": Far("files", compares=False, gives_ids=False),
        }
        self.lives = 0
        self.died_at = ("", 0, 0)
        """Where the last one that died was, as `dies_after` has it."""
        self.pipeline: Pipeline | None = None
        self.notes: list[str] = []
        self.acts: list[Act] = []
        """What people do, one thing each time that all is quiet."""

    def _one_of(self, what: str, usual: int, *sizes: int) -> int:
        if not self.stormy:
            return usual
        return self.choices.of(f"town {what}", usual, lambda chance: chance.choice(sizes))

    def _some_keys(self, what: str) -> frozenset[str]:
        def some(chance: Random) -> list[str]:
            after = self.scripts["sis"][-1].after if self.scripts["sis"] else {}
            keys = [f"{entity}/{id_}" for entity, id_ in after if entity == "student"]
            return chance.sample(sorted(keys), min(2, len(keys))) if chance.random() > 0.6 else []

        return frozenset(self.choices.of(f"town {what}", [], some) if self.stormy else ())

    # Living

    def live(
        self,
        hook: Hook = lambda name: False,
        *,
        turns: int | None = None,
        until_quiet: bool = True,
        stop_after_s: float | None = None,
        doing: Act | None = None,
        dies_after: tuple[str, int, int] | None = None,
    ) -> bool:
        """One life: until it dies, or all is quiet, or it is told to stop. True: it ended by itself. `doing`:
        what a person does soon after its start. `dies_after`: a step, the how manyth, and turns of the loop.
        """
        life = self.begin(hook)
        life.dies_after = dies_after
        if dies_after and not dies_after[0]:  # before it took any step
            turns = dies_after[2]
        return self.lived([life], self.daemon(life, until_quiet, stop_after_s, doing), turns)

    def begin(self, hook: Hook = lambda name: False) -> Life:
        """A process is started."""
        self.lives += 1
        life = Life(self.lives, self.loop, self.trace, hook)
        self.trace(f"#{life.number} starts")
        return life

    def lived(self, lives: Sequence[Life], work: Coroutine[object, object, bool], turns: int | None) -> bool:
        """Let them work, until they end or all die. True: they ended by themselves."""
        if turns is not None:
            self.loop.stop_at_turn = self.loop.turns + turns
        try:
            ended = self.loop.run(work)
        except BaseException:
            if any(life.alive for life in lives):
                raise
            ended = None  # what it did while it died
        if ended is None:
            for life in lives:
                if life.alive:
                    self.died_at = life.place
                    life.die(f"at turn {self.loop.turns}")
            self.loop.sweep()
        self.loop.stop_at_turn = None
        self.pipeline = None
        return ended is not None

    async def daemon(
        self, life: Life, until_quiet: bool, stop_after_s: float | None, doing: Act | None = None
    ) -> bool:
        """What `router.daemon` and systemd do: start, work, stop when told, start again after a fall."""
        deadline_s = self.loop.time() + (QUIET_WITHIN_S if stop_after_s is None else stop_after_s)
        while True:
            try:
                async with build(self.district, self._world(life), EPOCH) as pipeline:
                    await check_index(cast(JetStream, self._wire(life)), pipeline, EPOCH)
                    self.pipeline = pipeline
                    await self._work(life, pipeline, until_quiet, deadline_s, doing)
                    return True
            except* (Unavailable, StreamFull) as fallen:
                self.trace(f"#{life.number} falls: {fallen.exceptions[0]!r}")
                self.notes.append("fell")
            await asyncio.sleep(RESTART_S)

    async def _work(
        self, life: Life, pipeline: Pipeline, until_quiet: bool, deadline_s: float, doing: Act | None
    ) -> None:
        working = asyncio.ensure_future(pipeline.run())
        wait_s = QUIET_POLL_S
        try:
            if doing:
                await asyncio.sleep(SOON_S)
                await doing(pipeline)
            while not working.done() and self.loop.time() < deadline_s:
                await asyncio.wait([working], timeout=min(wait_s, deadline_s - self.loop.time()))
                wait_s = min(wait_s * 1.5, QUIET_POLL_MAX_S)
                if until_quiet and self.is_quiet():
                    if self.acts:
                        await self.acts.pop(0)(pipeline)
                    elif not await self.approvers.decide(pipeline):
                        break
                    wait_s = QUIET_POLL_S
        finally:
            stopped_s = self.loop.time()
            if not working.done():
                life.trace(f"#{life.number} is told to stop")
                working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working
            if self.loop.time() - stopped_s > DRAIN_MAX_S and life.alive:
                raise AssertionError(f"a stop took {self.loop.time() - stopped_s:.0f} s")

    def _wire(self, life: Life) -> Wire:
        return Wire(self.server, life, self.weather, batch_max=self.batch_max, down=self.outage)

    def _world(self, life: Life) -> World:
        def trouble(what: str) -> None:
            life.trace(f"  trouble: {what}")

        def source(system: SystemRule, around: Surroundings) -> Source:
            return Source(system.name, self.scripts[system.name], life, self.weather)

        def destination(system: SystemRule, around: Surroundings) -> Contract:
            # ours has a limit of its own in each town, the contract has it in the class
            kind = Readable if system.name in self.readable else Destination
            return cast(Contract, kind(self.fars[system.name], life, self.weather, self.apply_max))

        def open_database(path: Path, schema: str) -> contextlib.AbstractAsyncContextManager[Database]:
            return self.disk.open(life, path, schema)

        return World(
            bus=self._wire(life),
            open_database=open_database,
            state=STATE,
            now_ms=self.loop.now_ms,
            sleep=life.sleep if self.is_drowsy else asyncio.sleep,
            jitter=lambda: self.choices.of("jitter", 0.5, Random.random),
            make_source=source,
            make_destination=destination,
            trouble=trouble,
        )

    # What strangers say

    def strangers(self) -> None:
        """Put on EVENTS what no source of ours has said: rubbish, and old events once more.

        None of it may change anything; each of it is settled.
        """
        stream = self.server.streams["EVENTS"]
        said = [Message(*each) for each in RUBBISH]
        old = [stored for stored in stream.messages.values() if stored.id]
        said += [Message(each.subject, each.body) for each in old]

        def some(chance: Random) -> list[int]:
            return chance.sample(range(len(said)), chance.randint(1, min(len(RUBBISH) + 3, len(said))))

        chosen = [said[number % len(said)] for number in self.choices.of("strangers", [], some)]
        self.server.store("EVENTS", chosen, atomic=False)
        self.weather.counts["strangers"] += len(chosen)
        self.trace(f"strangers say {len(chosen)} things")

    # Looking

    def is_quiet(self) -> bool:
        """Nothing is under way, and nothing will be."""
        if any(not script.settled for scripts in self.scripts.values() for script in scripts):
            return False
        return not self.unquiet()

    def unquiet(self) -> str:
        """What is still under way in the router; '' if nothing is."""
        rows, index = self.disk.rows, "index.sqlite"
        positions = dict(rows(index, "SELECT name, value FROM position"))
        if positions.get("events", 0) < self.server.streams["EVENTS"].last_seq:
            return "events"
        if rows(index, "SELECT 1 FROM work WHERE awaits = '' LIMIT 1"):
            return "work"
        if self.pipeline is None or self.pipeline.outbox.waiting:
            return "outbox"
        for name in self.fars:
            durable = self.server.durables.get(("CHANGES", name))
            marker = self.pipeline.markers[name]
            stream = self.server.streams["CHANGES"]
            newest = [
                seqs[-1]
                for subject, seqs in stream.by_subject.items()
                if durable and subject.split(".")[1] in {f.split(".")[1] for f in durable.filters}
            ]
            if max(newest, default=0) > max(marker.seq, durable.floor if durable else 0):
                return f"marker {name}"
        for system in self.scripts:
            if rows(f"{system}.sqlite", "SELECT 1 FROM read WHERE outcome = 'publishing' LIMIT 1"):
                return f"reading {system}"
            if rows(f"{system}.sqlite", "SELECT 1 FROM waiting WHERE approved = 1 LIMIT 1"):
                return f"approved rows of {system}"
            if rows(f"{system}.sqlite", "SELECT 1 FROM hold WHERE told < json_array_length(body, '$.acts')"):
                return f"holds of {system}"
        return ""

    def close(self) -> None:
        """Twice is not fine: it belongs to one `with contextlib.closing(Town(…))`."""
        closed(self.loop, self.loop.sweep)
        self.disk.close()
