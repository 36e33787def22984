"""The fields of one event against a record: the four cases of a three-way merge, field by field or group by
group, in the normal form of the system that speaks.

1. It says what the record has: nothing to do.
2. It says what it said before, or what it was given: a repeat.
3. It alone has changed the field since: accepted if it has authority, else refused; the claim stays open.
4. Another has changed it too: a conflict, and the owner rule says which value stands.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final, NamedTuple

from bus.messages import Conflict, Event, Origin, Outcome, Record, Seen, Value
from bus.origins import Origins
from router.core.accepted import Accepted, Unit, after_change, holds, same
from router.core.authority import owners_at, wins
from router.core.held import Told, in_hand, together
from router.core.rules import EntityRule, FieldRule
from router.core.saying import Saying
from router.core.voices import system_of

TURNS_MAX: Final = 6
TURNS_WITHIN_MS: Final = 3_600_000
"""A field that goes from one system's value to another's more often than this in an hour is bouncing."""


class Merged(NamedTuple):
    """A record's fields after an event. `by_field`: the outcomes of the fields that are not unchanged.
    `contact`: fields that differ at the first contact. `owed`: the system has something else than the record
    and is to be corrected.
    """

    values: dict[str, Value]
    origins: Mapping[str, Origin]
    seen: dict[str, Seen]
    changed: tuple[str, ...]
    by_field: dict[str, Outcome]
    conflicts: tuple[Conflict, ...]
    contact: tuple[str, ...]
    asked: Mapping[str, tuple[str, ...]]
    turns: Mapping[str, tuple[int, int]]
    owed: bool


class Draft:
    """The merge of one event's fields, while it is made. Nothing that came in is altered."""

    def __init__(
        self, record: Record, event: Event, rules: EntityRule, event_seq: int, told: Told, key: str
    ) -> None:
        self._record = record
        self._event = event
        self._rules = rules
        self._seq = event_seq
        self._told = told
        self._key = key
        self._system = event.system
        self._at_ms = event.observed_at_ms
        self._saying = Saying(record, event, rules, event_seq)
        self._normal = rules.normal_of(event.system)
        self._skew_ms = rules.skews_ms.get(event.system, 0)
        self._accepted: list[Accepted] = []
        self._conflicts: list[Conflict] = []
        self._contact: list[str] = []
        self._by_field: dict[str, Outcome] = {}
        self._asked = record.asked
        self._turns = record.turns
        self._owed = False

    def merge(self) -> Merged:
        """All units of the event."""
        fresh = self._saying.fresh()
        if len(fresh) < len(self._event.fields):
            self._by_field |= {name: Outcome.STALE for name in self._event.fields if name not in fresh}
        done: set[str] = set()
        values, said = self._record.values, self._saying.said
        for name, value in fresh.items():
            if values.get(name) == value and name not in said:
                continue
            if name in done:
                continue
            if name not in self._rules.fields:
                self._by_field[name] = Outcome.REFUSED
                continue
            unit = self._rules.fields[name].group or (name,)
            done.update(unit)
            self._judge(unit, fresh)
        self._keep_invariants()
        return self._result(fresh)

    # One unit

    def _judge(self, unit: Unit, fresh: Mapping[str, Value]) -> None:
        values, saying = self._record.values, self._saying
        stands = tuple([values.get(name) for name in unit])
        claims = tuple([self._claimed(name, fresh) for name in unit])
        if self._same(unit, claims, stands):
            saying.agrees(unit)
            if (given_at_ms := self._takes_up(unit, claims)) is not None:
                saying.took_up(unit, given_at_ms)
            return
        spoken = saying.spoke_of(unit)
        said = tuple([saying.says(name) for name in unit])
        handed = self._handed(unit, said)
        if spoken and self._same(unit, claims, said) and not self._went_back(unit, claims, handed):
            return
        if (given_at_ms := self._takes_up(unit, claims)) is not None:
            saying.notes(unit, claims)
            saying.took_up(unit, given_at_ms)
            # Over its own newer edit, it may be: then what stands has never been given to it.
            self._owed = self._owed or handed[-1][1] != stands
            return
        base = self._base(said, spoken, handed)
        rule = self._rules.fields[unit[0]]
        if base is None:
            self._first_contact(unit, claims, rule)
        elif self._same(unit, base, stands) or any(name in saying.claims for name in unit):
            self._alone(unit, claims, rule)
        else:
            self._conflict(unit, claims, stands, rule)

    def _went_back(
        self, unit: Unit, claims: tuple[Value, ...], handed: list[tuple[int, tuple[Value, ...]]]
    ) -> bool:
        """It says what it said before it was given something else. One that takes up at once has gone back to
        it; where by its clock nobody can tell, it is told again.
        """
        there = [(at_ms, values) for at_ms, values in handed if at_ms <= self._at_ms]
        if self._system in self._rules.lags_s or not there or self._same(unit, claims, there[-1][1]):
            return False
        if there[-1][0] <= self._at_ms - self._skew_ms:
            return True
        self._saying.changes_its_mind(unit)
        self._owed = True
        return False

    def _claimed(self, name: str, fresh: Mapping[str, Value]) -> Value:
        return fresh[name] if name in fresh else self._saying.says(name)

    def _same(self, unit: Unit, mine: tuple[Value, ...], theirs: tuple[Value, ...]) -> bool:
        """Equal in the normal form of the system that says `mine`."""
        if mine == theirs:
            return True
        return bool(self._normal) and all(map(partial(same, self._normal), unit, mine, theirs))

    def _handed(self, unit: Unit, said: tuple[Value, ...]) -> list[tuple[int, tuple[Value, ...]]]:
        """What it was given of the unit and may not have taken up yet, oldest first."""
        if not self._told.given:
            return []
        before, lag_s = self._saying.before, self._rules.lags_s.get(self._system)
        about = (self._at_ms, lag_s, self._skew_ms)
        entries = [in_hand(self._told.given, before, name, *about) for name in unit]
        return together(entries, said)

    def _takes_up(self, unit: Unit, claims: tuple[Value, ...]) -> int | None:
        """When it was given what it says now, if it was; the first time: the same may come again."""
        said = tuple([self._saying.says(name) for name in unit])
        taken = [at_ms for at_ms, each in self._handed(unit, said) if self._same(unit, claims, each)]
        return taken[0] if taken else None

    def _base(
        self, said: tuple[Value, ...], spoken: bool, handed: list[tuple[int, tuple[Value, ...]]]
    ) -> tuple[Value, ...] | None:
        """What the system had when it was observed; None if nobody knows."""
        taken_up = [values for at_ms, values in handed if at_ms <= self._at_ms]
        if taken_up and (self._system not in self._rules.lags_s or not spoken):
            return taken_up[-1]
        return said if spoken else None

    # What comes of it

    def _first_contact(self, unit: Unit, claims: tuple[Value, ...], rule: FieldRule) -> None:
        """Nobody knows what it had before: the owner's value stands, and a difference is only reported."""
        is_there = any(self._record.values.get(name) is not None for name in unit)
        if self._told.alias and is_there:
            self._saying.notes(unit, claims)
            self._contact += unit
            return
        if self._system in owners_at(rule, self._at_ms, self._told.spans):
            self._accepted.append(Accepted(unit, claims, "owner"))
            return
        self._saying.disagrees(unit, claims)
        self._contact += unit
        self._owed = True

    def _alone(self, unit: Unit, claims: tuple[Value, ...], rule: FieldRule) -> None:
        if any(name in self._asked for name in unit):
            self._saying.disagrees(unit, claims)
            self._outcome(unit, Outcome.HELD)
        elif self._system in owners_at(rule, self._at_ms, self._told.spans):
            self._accepted.append(Accepted(unit, claims, "owner"))
        else:
            self._saying.disagrees(unit, claims, is_open=True)
            self._owed = True
            self._outcome(unit, Outcome.REFUSED)

    def _conflict(
        self, unit: Unit, claims: tuple[Value, ...], stands: tuple[Value, ...], rule: FieldRule
    ) -> None:
        origin = self._origin(unit)
        if origin.system == self._system:
            # Nobody else has changed it since. Of two ids of one system the main one speaks for it.
            if self._told.alias:
                self._saying.notes(unit, claims)
            else:
                self._alone(unit, claims, rule)
            return
        winner, why = wins(
            rule,
            system=self._system,
            at_ms=self._at_ms,
            other=origin.system,
            other_ms=origin.at_ms,
            spans=self._told.spans,
        )
        if any(name in self._asked for name in unit):
            winner, why = "", "ask"
        conflict = self._as_conflict(unit, claims, stands, origin, why, winner)
        if winner == self._system:
            self._accepted.append(Accepted(unit, claims, why, conflict))
            return
        self._conflicts.append(conflict)
        self._saying.disagrees(unit, claims)
        self._outcome(unit, Outcome.CONFLICT)
        if winner:
            self._owed = True
        else:
            self._ask(unit, origin.system)

    def _origin(self, unit: Unit) -> Origin:
        origins = [self._record.origins[name] for name in unit if name in self._record.origins]
        return max(origins, key=lambda origin: origin.event_seq, default=Origin("", 0, 0, ""))

    def _as_conflict(
        self,
        unit: Unit,
        claims: tuple[Value, ...],
        stands: tuple[Value, ...],
        origin: Origin,
        rule: str,
        winner: str,
    ) -> Conflict:
        return Conflict(
            self._key,
            unit,
            self._system,
            claims,
            self._seq,
            self._at_ms,
            origin.system,
            stands,
            origin.event_seq,
            origin.at_ms,
            rule,
            winner,
        )

    def _ask(self, unit: Unit, other: str) -> None:
        systems = tuple(sorted({self._system, other, *self._asked.get(unit[0], ())} - {""}))
        self._asked = {**self._asked, **dict.fromkeys(unit, systems)}

    def _outcome(self, unit: Unit, outcome: Outcome) -> None:
        for name in unit:
            if name in self._event.fields:
                self._by_field[name] = outcome

    # All units together

    def _keep_invariants(self) -> None:
        """A unit that would break what must hold in every record keeps its old values."""
        if not self._accepted or not self._rules.invariants:
            return
        for invariant in self._rules.invariants:
            names = set(invariant.program.variables)
            values = self._values()
            if holds(invariant, values):
                continue
            for each in [one for one in self._accepted if names.intersection(one.unit)]:
                self._accepted.remove(each)
                stands = tuple([self._record.values.get(name) for name in each.unit])
                origin = self._origin(each.unit)
                self._conflicts.append(
                    self._as_conflict(each.unit, each.values, stands, origin, "invariant", origin.system)
                )
                self._saying.disagrees(each.unit, each.values)
                self._owed = True
                self._outcome(each.unit, Outcome.CONFLICT)

    def _values(self) -> dict[str, Value]:
        values = dict(self._record.values)
        for each in self._accepted:
            values.update(zip(each.unit, each.values, strict=True))
        return values

    def _result(self, fresh: Iterable[str]) -> Merged:
        record = self._record
        accepted = [each for each in self._accepted if not self._bounces(each)]
        self._accepted = accepted
        values, origins, seen = record.values, record.origins, dict(record.seen)
        changed: list[str] = []
        if accepted:
            values = self._values()
        for each in accepted:
            origin = Origin(self._system, self._seq, self._at_ms, each.rule, record.rev + 1)
            news = [name for name in each.unit if record.values.get(name) != values[name]]
            origins = Origins.of(origins).having(news, origin)
            changed += news
            self._saying.agrees(each.unit)
            self._saying.changes_its_mind(each.unit)
            outcome = Outcome.CONFLICT if each.conflict else Outcome.ACCEPTED
            if each.conflict:
                self._conflicts.append(each.conflict)
            if self._others_yield(each, seen):
                outcome = Outcome.CONFLICT
            self._outcome(each.unit, outcome)
        seen[self._system] = self._saying.seen(fresh)
        return Merged(
            values,
            origins,
            seen,
            tuple(changed),
            self._by_field,
            tuple(self._conflicts),
            tuple(self._contact),
            self._asked,
            self._turns,
            self._owed and self._system in self._rules.two_way,
        )

    def _others_yield(self, each: Accepted, seen: dict[str, Seen]) -> bool:
        """What others said stays what they said. A claim of theirs that was refused and is open meets this
        change now: that is the same conflict as if it had come after.
        """
        met = False
        for system, theirs in seen.items():
            if system == self._system or not any(name in theirs.names for name in each.unit):
                continue
            other = system_of(system)
            claims = [theirs.claims[name] for name in each.unit if name in theirs.claims]
            if other != self._system and (claim := next((claim for claim in claims if claim.is_open), None)):
                claimed = tuple([theirs.said.get(n, self._record.values.get(n)) for n in each.unit])
                normal = self._rules.normal_of(other)
                if not all(map(partial(same, normal), each.unit, claimed, each.values)):
                    met = True
                    self._conflicts.append(
                        self._as_conflict(
                            each.unit,
                            each.values,
                            claimed,
                            Origin(other, claim.event_seq, claim.at_ms, ""),
                            "owner",
                            self._system,
                        )
                    )
            seen[system] = after_change(theirs, each, self._record.values, self._rules.normal_of(other))
        return met

    def _bounces(self, each: Accepted) -> bool:
        """Goes the field from one system's value to another's, over and over? Then a person is asked."""
        origin = self._origin(each.unit)
        if not origin.system or origin.system == self._system:
            return False
        name = each.unit[0]
        count, begun_ms = self._turns.get(name, (0, self._at_ms))
        if self._at_ms - begun_ms >= TURNS_WITHIN_MS:
            count, begun_ms = 0, self._at_ms
        self._turns = {**self._turns, name: (count + 1, begun_ms)}
        if count + 1 <= TURNS_MAX:
            return False
        self._turns.pop(name)
        stands = tuple([self._record.values.get(n) for n in each.unit])
        self._conflicts.append(self._as_conflict(each.unit, each.values, stands, origin, "bouncing", ""))
        self._saying.disagrees(each.unit, each.values)
        self._ask(each.unit, origin.system)
        self._outcome(each.unit, Outcome.CONFLICT)
        return True
