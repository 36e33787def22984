"""The foreign systems, and their adapters: a source that reads from a script, destinations that misbehave."""

import asyncio
from collections.abc import AsyncIterator, Container, Sequence
from dataclasses import dataclass, field
from typing import Final

from simulation.clock import START_MS
from simulation.life import Life
from simulation.school import Script
from simulation.waiting import Before, Behind
from simulation.weather import Weather

from bus.adapter import Delivery, Receipt, Row
from bus.errors import Unavailable
from bus.messages import Fields, Op, Outcome

FOREVER_S: Final = 1_000_000.0
IDLE_S: Final = 3600.0
ROWS_AT_ONCE: Final = 7


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
    down_until_s: float = 0.0
    before: Before = lambda key, fields: iter(())
    behind: Behind = lambda key: iter(())

    def write(self, delivery: Delivery) -> Receipt:
        """Take one record, as the system itself would."""
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
        await asyncio.sleep(weather.delay_s(f"apply {name}"))
        self._down()
        if weather.happens("far.slow", name):
            await asyncio.sleep(weather.chance(f"slow {name}").uniform(1, 200))
        if weather.happens("far.hang", name):
            await self._hang()
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
        return given

    def _down(self) -> None:
        far, weather, now_s = self._far, self._weather, self._life.loop.time()
        if weather.calm:
            return
        if far.down_until_s <= now_s and weather.happens("far.down", far.name):
            far.down_until_s = now_s + weather.spell_s(far.name)
            self._life.trace(f"  {far.name} is down for {far.down_until_s - now_s:.0f} s")
        if far.down_until_s > now_s:
            raise Unavailable(f"{far.name}: 503")

    async def _hang(self) -> None:
        self._life.trace(f"  {self._far.name} hangs")
        await asyncio.sleep(FOREVER_S)

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
            wait_s = weather.chance(f"retry {far.name}").choice((None, 5.0, 90.0))
            return Receipt(key, Outcome.RETRYING, "429", retry_after_s=wait_s)
        far.sent[key, version] = far.sent.get((key, version), 0) + 1
        return far.write(delivery)
