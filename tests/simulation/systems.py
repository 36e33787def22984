"""The foreign systems, and their adapters: a source that reads from a script, destinations that misbehave."""

import asyncio
from collections.abc import AsyncIterator, Container, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from simulation.clock import START_MS
from simulation.life import Life
from simulation.school import Script
from simulation.waiting import Before, Behind
from simulation.weather import Weather

from bus.adapter import Delivery, Listed, Receipt, Row
from bus.errors import Unavailable
from bus.messages import Fields, Op, Outcome

FOREVER_S: Final = 1_000_000.0
IDLE_S: Final = 3600.0
ROWS_AT_ONCE: Final = 7
ASKED_S: Final = (2.0, 30.0, 400.0)
"""What a busy system asks for in its Retry-After."""
STRAYS_MAX_S: Final = 600.0
DEADLINE_S: Final = 300.0
"""Of a call: what a district has that says nothing of it."""
TICKS_S: Final = 0.01
"""A clock may tick between two looks at it."""


# -- a source


class Reading:
    """`bus.adapter.Reading` of one script."""

    def __init__(self, source: "Source", script: Script) -> None:
        self._source = source
        self._script = script
        self.name = script.name
        self.sha256 = f"{script.number:064x}"
        self.size_bytes = 1
        observed_s = script.at_s if script.observed_s is None else script.observed_s
        self.observed_at_ms = START_MS + int(observed_s * 1000)
        self.full = script.full
        self.tables = tuple(script.tables)
        self.warnings = ()

    async def open(self) -> None:
        self._source.step("open reading")
        await self._source.away()

    async def rows(self, table: str) -> AsyncIterator[list[Row]]:
        rows = self._script.tables[table]
        for start in range(0, len(rows), ROWS_AT_ONCE):
            self._source.step("rows")
            self._source.may_cut()
            yield rows[start : start + ROWS_AT_ONCE]

    async def accept(self) -> None:
        self._source.settle(self._script, "accepted")

    async def refuse(self, report: str) -> None:
        self._source.settle(self._script, "refused")


class Source:
    """`bus.adapter.Source`: gives the readings of its script, each when its time has come, until it is put
    away.
    """

    def __init__(self, system: str, scripts: Sequence[Script], life: Life, weather: Weather) -> None:
        self._system = system
        self._scripts = scripts
        self._life = life
        self._weather = weather

    async def check(self) -> None:
        pass

    async def read(self) -> AsyncIterator[Reading]:
        while True:
            script = next((each for each in self._scripts if not each.settled), None)
            left_s = IDLE_S if script is None else script.at_s - self._life.loop.time()
            if script is None or left_s > 0:
                await asyncio.sleep(min(left_s, IDLE_S) + 0.01)
                continue
            await self.away()
            yield Reading(self, script)

    async def close(self) -> None:
        pass

    # What a reading needs.

    def step(self, name: str) -> None:
        self._life.step(f"{name} {self._system}")

    async def away(self) -> None:
        await asyncio.sleep(self._weather.delay_s(f"source {self._system}"))
        if self._weather.happens("source.down", self._system):
            self._life.trace(f"  {self._system} does not answer")
            raise Unavailable(f"{self._system}: no answer")

    def may_cut(self) -> None:
        if self._weather.happens("source.cut", self._system):
            self._life.trace(f"  {self._system} breaks off")
            raise Unavailable(f"{self._system}: the line was cut")

    def settle(self, script: Script, how: str) -> None:
        self._life.step(f"{how} {self._system}", script.name)
        script.settled = script.settled or how


# -- destinations


@dataclass
class Held:
    """What a destination has of one record."""

    fields: Fields
    version: tuple[int, int]
    active: bool = True


@dataclass
class Far:
    """A destination's own world: it outlives the router."""

    name: str
    compares: bool
    """It refuses what is older than what it has."""
    gives_ids: bool
    poison: Container[str] = frozenset()
    """Keys on which its adapter raises."""
    hates: frozenset[str] = frozenset()
    """Keys that it refuses for good."""
    records: dict[str, Held] = field(default_factory=dict)
    newest: dict[str, tuple[int, int]] = field(default_factory=dict)
    sent: dict[tuple[str, tuple[int, int]], int] = field(default_factory=dict)
    refused: set[tuple[str, int]] = field(default_factory=set)
    """(key, CHANGES sequence) to which it said no, so that a dead letter has its cause."""
    postponed: dict[str, int] = field(default_factory=dict)
    """How often it asked to come again, by key."""
    told: dict[str, list[Fields]] = field(default_factory=dict)
    bases: dict[str, Fields] = field(default_factory=dict)
    """What it was last believed to have, by key."""
    violations: list[str] = field(default_factory=list)
    missed: set[str] = field(default_factory=set)
    """Keys that it said it had written, and had not."""
    denied: set[str] = field(default_factory=set)
    """Keys that it wrote, and said that it had not."""
    down_until_s: float = 0.0
    busy: tuple[int, float] = (0, 0.0)
    """The life that it asked to come again, and when."""
    before: Before = lambda key, fields: iter(())
    behind: Behind = lambda key: iter(())

    def write(self, delivery: Delivery) -> Receipt:
        """Take one record, as the system itself would."""
        self.missed.discard(delivery.key)
        self.denied.discard(delivery.key)
        key, version = delivery.key, (delivery.version.epoch, delivery.version.seq)
        newest = self.newest.get(key, (0, 0))
        local_id = f"{self.name}-{delivery.id}" if self.gives_ids else ""
        if version < newest:
            self.violations.append(f"{self.name}: {key} in version {version} after {newest}")
            if self.compares:
                return Receipt(key, Outcome.SUPERSEDED, local_id=local_id)
        self.newest[key] = version
        before = self.records.get(key)
        if delivery.op is Op.DELETE:
            return self._gone(delivery, before, local_id)
        self.violations += self.before(key, delivery.fields)
        self.told.setdefault(key, []).append(delivery.fields)
        self.bases[key] = delivery.base
        if before and before.active and before.fields == delivery.fields:
            before.version = version
            return Receipt(key, Outcome.UNCHANGED, local_id=local_id)
        self.records[key] = Held(delivery.fields, version)
        return Receipt(key, Outcome.DELIVERED, local_id=local_id)

    def carry_out(self, batch: Sequence[Delivery]) -> None:
        """Take what was on its way for long. Who compares versions lets what is older alone."""
        for each in batch:
            if (each.version.epoch, each.version.seq) >= self.newest.get(each.key, (0, 0)):
                self.write(each)

    def put_off(self, key: str) -> None:
        self.postponed[key] = self.postponed.get(key, 0) + 1

    def _gone(self, delivery: Delivery, before: Held | None, local_id: str) -> Receipt:
        key = delivery.key
        if before is None or (delivery.deactivate and not before.active):
            return Receipt(key, Outcome.UNCHANGED)
        self.violations += self.behind(key)
        if delivery.deactivate:
            self.records[key] = Held(before.fields, before.version, active=False)
        else:
            del self.records[key]
        return Receipt(key, Outcome.DELIVERED, local_id=local_id)


class Destination:
    """`bus.adapter.Destination` in front of a `Far`."""

    def __init__(self, far: Far, life: Life, weather: Weather, batch_records_max: int) -> None:
        self._far = far
        self._life = life
        self._weather = weather
        self.batch_records_max = batch_records_max

    async def check(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def apply(self, batch: Sequence[Delivery]) -> list[Receipt]:
        far, life, weather = self._far, self._life, self._weather
        name = far.name
        life.step(f"apply {name}", " ".join(f"{d.key}@{d.version.seq}" for d in batch[:6]))
        self._asked_to_wait()
        await asyncio.sleep(weather.delay_s(f"apply {name}"))
        self._down()
        if weather.happens("far.slow", name):
            slow_s = weather.choices.of(f"slow {name}", 100.0, lambda chance: chance.uniform(1, 200))
            await asyncio.sleep(slow_s)
        if weather.happens("far.hang", name):
            await self._hang(batch)
        if len(batch) > 1 and weather.happens("far.torn", name):
            kept = weather.choices.of(f"torn {name}", 1, lambda chance: chance.randrange(1, len(batch)))
            for delivery in batch[:kept]:
                self._one(delivery)
            life.trace(f"  {name} has taken {kept}, and the line is cut")
            raise Unavailable(f"{name}: cut in the middle")
        receipts = [self._one(delivery) for delivery in batch]
        life.step(f"applied {name}", " ".join(sorted({receipt.outcome.value for receipt in receipts})))
        if weather.happens("far.lie", name):
            life.trace(f"  {name} has written, and says that it is not available")
            raise Unavailable(f"{name}: 503")
        if weather.happens("far.hang_after", name):
            await self._hang()
        await asyncio.sleep(weather.delay_s(f"applied {name}"))
        given = [receipt for receipt in receipts if not weather.happens("far.silent", name)]
        for silent in {receipt.key for receipt in receipts} - {receipt.key for receipt in given}:
            far.put_off(silent)
        if len(given) > 1 and weather.happens("far.mixed", name):
            given.reverse()
        return given

    def _asked_to_wait(self) -> None:
        """A Retry-After is kept, by the life that heard it."""
        number, until_s = self._far.busy
        if number == self._life.number and self._life.loop.time() < until_s - TICKS_S:
            self._far.violations.append(f"{self._far.name}: is called before its Retry-After")

    def _down(self) -> None:
        far, weather, now_s = self._far, self._weather, self._life.loop.time()
        if weather.calm:
            return
        if far.down_until_s <= now_s and weather.happens("far.down", far.name):
            far.down_until_s = now_s + weather.spell_s(far.name)
            self._life.trace(f"  {far.name} is down for {far.down_until_s - now_s:.0f} s")
        if far.down_until_s > now_s:
            raise Unavailable(f"{far.name}: 503")
        if weather.happens("far.busy", far.name):
            asked_s = weather.choices.of(
                f"busy {far.name}", ASKED_S[0], lambda chance: chance.choice(ASKED_S)
            )
            far.busy = (self._life.number, now_s + asked_s)
            self._life.trace(f"  {far.name} is busy, and asks for {asked_s:.0f} s")
            raise Unavailable(f"{far.name}: 429", retry_after_s=asked_s)

    async def _hang(self, batch: Sequence[Delivery] = ()) -> None:
        """It never answers. What it was sent may be carried out long after nobody waits for it any more."""
        far, weather, loop = self._far, self._weather, self._life.loop
        self._life.trace(f"  {far.name} hangs")
        since_s = loop.time()
        try:
            await asyncio.sleep(FOREVER_S)
        finally:
            if loop.time() - since_s > DEADLINE_S + TICKS_S:
                far.violations.append(f"{far.name}: a call is waited for beyond its deadline")
            if far.compares and batch and weather.happens("far.stray", far.name):
                later_s = weather.choices.of(f"stray {far.name}", 60.0, _stray_s)
                loop.call_later(later_s, far.carry_out, batch)

    def _one(self, delivery: Delivery) -> Receipt:
        far, weather = self._far, self._weather
        key, version = delivery.key, (delivery.version.epoch, delivery.version.seq)
        if key in far.poison:
            raise ValueError("a bug in the adapter")
        if key in far.hates or weather.happens("far.reject", far.name):
            far.refused.add((key, delivery.version.seq))
            return Receipt(key, Outcome.FAILED, "422")
        if delivery.op is Op.DELETE and weather.happens("far.hold", far.name):
            return Receipt(key, Outcome.HELD, "too many removals")
        if weather.happens("far.retry", far.name):
            far.put_off(key)
            waits_s = (None, 5.0, 90.0)
            wait_s = weather.choices.of(f"retry {far.name}", None, lambda chance: chance.choice(waits_s))
            return Receipt(key, Outcome.RETRYING, "429", retry_after_s=wait_s)
        if delivery.op is not Op.DELETE and weather.happens("far.lie_yes", far.name):
            self._life.trace(f"  {far.name} says that it has {key}, and has not")
            far.missed.add(key)
            return Receipt(key, Outcome.DELIVERED)
        far.sent[key, version] = far.sent.get((key, version), 0) + 1
        receipt = far.write(delivery)
        if weather.happens("far.lie_no", far.name):
            self._life.trace(f"  {far.name} has written {key}, and says no to it")
            far.refused.add((key, delivery.version.seq))
            far.denied.add(key)
            return Receipt(key, Outcome.FAILED, "422")
        if weather.happens("far.lie_later", far.name):
            self._life.trace(f"  {far.name} has written {key}, and says that it has not yet")
            far.put_off(key)
            far.denied.add(key)
            return Receipt(key, Outcome.RETRYING, "429")
        return receipt


class Readable(Destination):
    """One that can also say what it has."""

    async def listing(self, entity: str) -> AsyncIterator[Sequence[Listed]]:
        self._life.step(f"list {self._far.name}", entity)
        await asyncio.sleep(self._weather.delay_s(f"list {self._far.name}"))
        self._down()
        held = [each for key, each in self._far.records.items() if key.startswith(f"{entity}/")]
        yield [Listed(str(each.fields["id"]), each.fields) for each in held if each.active]


def _stray_s(chance: Random) -> float:
    return chance.uniform(0, STRAYS_MAX_S)
