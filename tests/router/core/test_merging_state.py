"""Three systems edit the same record for years; when all is quiet they agree, and nobody was wronged.

A nightly file that takes up what it was told one to three nights late, a directory that is told at once, a
system that posts only what was edited, a person who picks. A system is told of a record when it has changed,
or when it is owed a correction, and never else. FUZZ_STEPS makes a run longer (`make fuzz`); crashes, clocks
and the rest of the world are in `tests/simulation/`.
"""

import os

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bus.messages import Conflict, Event, Op, Outcome, Record, Value
from router.core.acts import decide_pick
from router.core.held import UNKNOWN, Given, Told, handed, has, known
from router.core.merge import merge
from router.core.rules import EntityRule, FieldRule, Period, Type

FILE, DIRECTORY, POSTS = "sis", "idp", "lms"
SYSTEMS = (FILE, DIRECTORY, POSTS)
FIELDS = ("name", "email", "nick", "grade", "pet", "street", "town")
PERSON = "operator"
KEY = "student/7"
HOUR = 3_600_000


def field(name: str, *systems: str, ties: str = "priority", group: tuple[str, ...] = ()) -> FieldRule:
    owner = systems[0] if len(systems) == 1 else ""
    owners = () if owner else (Period(systems=systems),)
    return FieldRule(name=name, type=Type.TEXT, owner=owner, owners=owners, ties=ties, group=group)


RULES = EntityRule(
    name="student",
    owner=FILE,
    fields={
        "name": field("name", FILE),
        "email": field("email", DIRECTORY),
        "nick": field("nick", POSTS, FILE, ties="latest"),
        "grade": field("grade", FILE, DIRECTORY),
        "pet": field("pet", POSTS, DIRECTORY, ties="ask"),
        "street": field("street", POSTS, group=("street", "town")),
        "town": field("town", POSTS, group=("street", "town")),
    },
    two_way=frozenset(SYSTEMS),
    lags_s={FILE: 1000 * 24 * 3600.0},
    normal={FILE: {"email": str.upper}, POSTS: {"grade": str.upper, "nick": str.upper}},  # type: ignore[dict-item]
)

OWNED = {s: {each.name for each in RULES.fields.values() if each.owner == s} for s in SYSTEMS}

systems = st.sampled_from(SYSTEMS)
names = st.sampled_from(FIELDS)


def form(system: str, name: str, value: Value) -> Value:
    """As a system writes it."""
    write = RULES.normal_of(system).get(name)
    return write(value) if write and value is not None else value


class Lives(RuleBasedStateMachine):
    """What each system has, what the hub has, and who said what."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = HOUR
        self.seq = 0
        self.edits = 0
        self.record: Record | None = None
        self.has: dict[str, dict[str, Value]] = {system: {} for system in SYSTEMS}
        self.given: dict[str, Given] = {}
        self.import_file: list[tuple[int, dict[str, Value]]] = []
        """What was written for the file system: (nights until it is taken up, values)."""
        self.unposted: set[str] = set()
        self.made: dict[tuple[str, str], set[Value]] = {}
        """By system and field the values that somebody has typed there."""
        self.conflicts: list[Conflict] = []
        self.work: set[str] = set()
        """The systems that are to be told of the record."""

    @initialize()
    def begin(self) -> None:
        values: dict[str, Value] = {name: "0" for name in FIELDS}
        for system in SYSTEMS:
            self.has[system] = dict(values)
            for name in FIELDS:
                self.made.setdefault((system, name), set()).add("0")
        for system in (FILE, DIRECTORY, POSTS):
            self._say(system, dict(values), full=True)
        for system in (DIRECTORY, POSTS, FILE):  # now all have authority somewhere, and all is known
            self._say(system, dict(values), full=True)

    # What people and machines do

    @rule(system=systems, name=names)
    def edit(self, system: str, name: str) -> None:
        self.edits += 1
        value = f"v{self.edits}"
        self.has[system][name] = value
        self.made[system, name].add(value)
        if system == POSTS:
            self.unposted.add(name)

    @rule(system=st.sampled_from((DIRECTORY, POSTS)), name=names)
    def think_again(self, system: str, name: str) -> None:
        """An edit is said, and then taken back."""
        before = self.has[system][name]
        self.edit(system, name)
        if system == POSTS:
            self.post()
            self.unposted.add(name)
        else:
            self.read_directory()
        self.has[system][name] = before
        self.made[system, name].add(before)

    @rule(hours=st.integers(1, 30))
    def wait(self, hours: int) -> None:
        self.now_ms += hours * HOUR

    @rule()
    def read_directory(self) -> None:
        self._say(DIRECTORY, dict(self.has[DIRECTORY]), full=True)

    @rule()
    def post(self) -> None:
        if self.unposted:
            self._say(POSTS, {name: self.has[POSTS][name] for name in sorted(self.unposted)}, full=False)
            self.unposted.clear()

    @rule(nights=st.integers(1, 3))
    def night(self, nights: int) -> None:
        """The file is exported; then it takes up what is due."""
        self.now_ms += HOUR
        self._say(FILE, dict(self.has[FILE]), full=True)
        left = []
        for due, values in self.import_file:
            if due <= nights:
                self.has[FILE].update(values)
            else:
                left.append((due - nights, values))
        self.import_file = left

    @rule(system=systems, late=st.integers(1, 3))
    def deliver(self, system: str, late: int) -> None:
        record = self.record
        assert record is not None
        given = self.given.get(system, {})
        if system not in self.work:
            return
        self.work.discard(system)
        kept = {
            name: known(record, system, given, name)
            for name in FIELDS
            if system in record.asked.get(name, ())
        }
        told = {name: value for name, value in kept.items() if value is not UNKNOWN}
        record = record._replace(values={**record.values, **told})  # type: ignore[dict-item]
        if all(has(record, system, given, name) for name in FIELDS):
            return
        self.now_ms += 60_000
        values = {name: record.values.get(name) for name in FIELDS}
        self.given[system] = handed(given, record.seen.get(system), values, self.now_ms)
        if system == FILE:
            first_after = max((due for due, _ in self.import_file), default=0)
            self.import_file.append((max(late, first_after), values))  # files are taken up in their order
        else:
            self.has[system].update(values)
            self.unposted -= set(FIELDS) if system == POSTS else set()
        self.now_ms += 60_000

    @rule(name=st.sampled_from(FIELDS), side=st.integers(0, 2))
    def pick(self, name: str, side: int) -> None:
        """A person says what is right, whoever said it, or what nobody has said."""
        record = self.record
        assert record is not None
        if name not in record.asked:
            return
        self.edits += 1
        value = [self.has[POSTS][name], self.has[DIRECTORY][name], f"{self.edits}"][side]
        self.made.setdefault((PERSON, name), set()).add(value)
        self.seq += 1
        act = {"looked_at": record.rev, "who": "kim", "why": "asked them"}
        event = Event(
            str(self.seq), PERSON, "student", Op.PICK, "", {name: value}, False, self.now_ms, act=act
        )
        decision = decide_pick(record, event, RULES, self.seq)
        assert decision.outcome is Outcome.ACCEPTED
        self.record = decision.record
        self.work.update(SYSTEMS)

    @rule(system=systems)
    def say_again(self, system: str) -> None:
        """The same news over another path, or once more."""
        if system != POSTS:
            self._say(system, dict(self.has[system]), full=True)
            self._say(system, dict(self.has[system]), full=True)

    def _say(self, system: str, fields: dict[str, Value], *, full: bool) -> None:
        self.seq += 1
        self.now_ms += 1_000
        fields = {name: form(system, name, value) for name, value in fields.items()}
        event = Event(str(self.seq), system, "student", Op.UPDATE, "7", fields, full, self.now_ms)
        told = Told(self.given.get(system, {}))
        decision = merge(self.record, event, KEY, RULES, self.seq, told)
        assert merge(self.record, event, KEY, RULES, self.seq, told) == decision
        for name, outcome in decision.by_field.items():
            if outcome in (Outcome.REFUSED, Outcome.CONFLICT, Outcome.ACCEPTED):
                unit = RULES.fields[name].group or (name,)
                typed = any(self.was_made(system, each, fields.get(each)) for each in unit)
                assert typed, f"{system} never typed this {name}: {outcome}"
            if outcome is Outcome.CONFLICT:
                assert any(name in conflict.fields for conflict in decision.conflicts)
        self.conflicts += decision.conflicts
        self.record = decision.record
        if system != FILE and decision.record is not None:  # what it says it has, and not what it takes up
            for name in fields.keys() & OWNED[system]:
                assert decision.record.values[name] == fields[name], f"{system} is not heard on its {name}"
        if decision.makes_change:
            self.work.update(SYSTEMS)
        if decision.owed:
            self.work.add(system)

    def was_made(self, system: str, name: str, value: Value) -> bool:
        """Somebody has typed that there."""
        return form(system, name, value) in {form(system, name, each) for each in self.made[system, name]}

    # What must be true

    @invariant()
    def every_value_was_typed_where_it_is_said_to_come_from(self) -> None:
        if self.record is None:
            return
        for name, value in self.record.values.items():
            origin = self.record.origins[name]
            owners = RULES.fields[name].owners
            allowed = owners[0].systems if owners else (RULES.fields[name].owner,)
            assert origin.system in allowed or (origin.system, origin.rule) == (PERSON, "picked")
            assert self.was_made(origin.system, name, value)

    @invariant()
    def both_sides_of_a_conflict_were_typed(self) -> None:
        for conflict in self.conflicts:
            for system, values in (
                (conflict.system, conflict.values),
                (conflict.other, conflict.other_values),
            ):
                sides = zip(conflict.fields, values, strict=True)
                assert any(self.was_made(system, name, value) for name, value in sides)

    def teardown(self) -> None:
        """Nobody edits any more: after some nights all agree."""
        if self.record is None:
            return
        for _ in range(8):
            self.now_ms += 24 * HOUR
            self.post()
            self.read_directory()
            self.night(3)
            for system in SYSTEMS:
                self.deliver(system, 1)
        for system in SYSTEMS:
            for name in FIELDS:
                asked = self.record.asked.get(name, ())
                if system not in asked:
                    there, stands = self.has[system][name], self.record.values[name]
                    assert form(system, name, there) == form(system, name, stands), (system, name)


Lives.TestCase.settings = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "60")),
    stateful_step_count=int(os.environ.get("FUZZ_STEPS", "40")),
    deadline=None,
)
TestLives = Lives.TestCase
