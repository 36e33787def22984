"""The daemon's own parts among three systems that tell and are told, and people who pick."""

import asyncio
from dataclasses import replace
from random import Random
from typing import Final, cast

from simulation.clock import START_MS
from simulation.life import Life
from simulation.people import FIELDS, HOUR_S, NIGHT_S, OPERATOR, STUDENT, People, Teller
from simulation.systems import Destination, Source
from simulation.weather import Weather
from simulation.world import Town

from bus import adapter as contract
from bus import subjects
from bus.adapter import Said, Surroundings, Take
from bus.codec import decode_conflict, decode_record, encode_event
from bus.errors import StreamFull, Unavailable
from bus.messages import Event, Op, Record
from bus.port import Message
from router.core.rules import (
    DestinationEntity,
    DestinationRule,
    Guards,
    SourceEntity,
    SourceRule,
    SystemRule,
    Term,
)
from router.world import World

POST_EVERY_S: Final = 60.0
OFTEN: Final = 1_000_000


class Posting:
    """`bus.adapter.Listener` of a system that posts what was edited in it, again if it hears no thanks."""

    def __init__(self, teller: Teller, life: Life, weather: Weather) -> None:
        self._teller = teller
        self._life = life
        self._weather = weather

    async def check(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def listen(self, take: Take) -> None:
        teller, weather = self._teller, self._weather
        while True:
            await asyncio.sleep(weather.chance("post").uniform(0.01, POST_EVERY_S))
            news = teller.post(self._life.loop.time())
            if news is None:
                continue
            key, said = news
            taken = False
            try:
                if weather.happens("source.down", "post"):
                    await asyncio.sleep(weather.spell_s("post"))
                self._life.step("post lms", said.id)
                await take([self._sent(said)])
                taken = True
                if weather.happens("source.down", "thanks"):
                    await asyncio.sleep(weather.spell_s("post"))
                    self._life.step("post lms again", said.id)
                    await take([self._sent(said)])
            except (Unavailable, StreamFull):
                await asyncio.sleep(1.0)
            finally:
                if not taken:
                    teller.post_again(key, said)

    def _sent(self, said: Said) -> Said:
        now_ms = START_MS + int(self._life.loop.time() * 1000)
        return said._replace(age_ms=now_ms - (said.occurred_at_ms or now_ms))


class TownOfThree(Town):
    """`people` work in the three systems for some nights; then they only export, take up and post."""

    def __init__(self, seed: object, *, students: int = 3, nights: int = 8, faults: float = 0.5) -> None:
        super().__init__(seed, days=1, faults=faults)
        # Else a record would not be there, and rightly so; and nobody here compares and repairs.
        self.weather.rates |= {"far.reject": 0.0, "far.lie_no": 0.0, "far.lie_yes": 0.0}
        self.people = People(self.loop, Random(f"{seed}/people"), students=students, nights=nights)
        self.fars = dict(self.people.tellers)
        self.scripts = {name: self.people.tellers[name].exported for name in ("sis", "idp")}
        self.district = replace(
            self.district,
            entities={"student": replace(STUDENT, skews_ms=self.people.skews_ms)},
            guards=Guards(dangling_max=1.0, shrink_max=1.0, first_read="flow"),
            systems={name: _system(name) for name in self.fars},
        )
        self.picks = 0
        at_s = NIGHT_S
        while (at_s := at_s + self.chance.expovariate(1 / HOUR_S)) < self.people.until_s:
            self.loop.call_at(at_s, self.pick)

    def _world(self, life: Life) -> World:
        found = super()._world(life)

        def source(system: SystemRule, around: Surroundings) -> contract.Source | contract.Listener:
            if system.name == "lms":
                return Posting(self.people.tellers["lms"], life, self.weather)
            return Source(system.name, self.scripts[system.name], life, self.weather)

        def destination(system: SystemRule, around: Surroundings) -> contract.Destination:
            far = Destination(self.fars[system.name], life, self.weather, self.apply_max)
            return cast(contract.Destination, far)

        return replace(found, make_source=source, make_destination=destination)

    def is_quiet(self) -> bool:
        busy = self.loop.time() < self.people.until_s or self.people.tellers["lms"].unposted
        return not busy and super().is_quiet()

    # What a person decides

    def pick(self) -> None:
        """Somebody looks at the conflicts and picks a side, or another value, as `conflicts resolve` does."""
        if "index.sqlite" not in self.disk.files:
            return
        asked = self.disk.rows("index.sqlite", "SELECT id, body FROM conflict WHERE state = 'asked'")
        if not asked:
            return
        id_, body = self.chance.choice(sorted(asked))
        conflict, _ = decode_conflict(body)
        record = self.record(conflict.key)
        sides = (conflict.values, conflict.other_values, tuple(f"picked {self.picks} {n}" for n in FIELDS))
        values = dict(zip(conflict.fields, self.chance.choice(sides), strict=False))
        about = {"key": conflict.key, "looked_at": record.rev, "conflict": id_, "who": "kim", "why": "asked"}
        self.picks += 1
        now_ms = START_MS + int(self.loop.time() * 1000)
        event = Event(
            f"pick.{self.picks}", OPERATOR, "student", Op.PICK, "", values, False, now_ms, act=about
        )
        subject = subjects.event(OPERATOR, "student", Op.PICK)
        self.server.store("EVENTS", [Message(subject, encode_event(event), event.id)], atomic=False)

    def record(self, key: str) -> Record:
        [(seq, body)] = self.disk.rows("index.sqlite", "SELECT seq, body FROM record WHERE key = ?", key)
        return decode_record(body, seq)

    def old_news(self) -> None:
        """What was said before comes once more, late and in any order."""
        stream, chance = self.server.streams["EVENTS"], self.chance
        old = [stored for stored in stream.messages.values() if stored.id]
        if old:
            some = [Message(each.subject, each.body) for each in chance.sample(old, min(4, len(old)))]
            self.server.store("EVENTS", some, atomic=False)


def _system(name: str) -> SystemRule:
    terms = tuple(Term(field=each, text=each, column=each) for each in FIELDS)
    source = SourceEntity(entity="student", table="student", id_field="id", terms=terms)
    on_delete = "ignore" if name == "sis" else "delete"
    destination = DestinationEntity(
        entity="student", table="student", id_field="id", terms=terms, on_delete=on_delete
    )
    return SystemRule(
        name=name,
        title="",
        file="",
        source=SourceRule(adapter="simulated", settings={}, entities={"student": source}),
        destination=DestinationRule(
            adapter="simulated", settings={}, entities={"student": destination}, restores_per_hour=OFTEN
        ),
    )
