"""What one system says of a record, while an event of it is merged: its side of the three-way base."""

from collections.abc import Iterable

from bus.messages import EXISTENCE, Claim, Event, Record, Seen, Value
from router.core.rules import EntityRule


class Saying:
    """A system's `Seen`, as it becomes with this event. What came in is not altered."""

    def __init__(self, record: Record, event: Event, rules: EntityRule, event_seq: int) -> None:
        self._record = record
        self._event = event
        self._seq = event_seq
        self._two_way = event.system in rules.two_way
        self._lags = event.system in rules.lags_s
        self.before = record.seen.get(event.system)
        before = self.before or Seen(event.observed_at_ms)
        self.said = dict(before.said)
        self.since = dict(before.since)
        self.claims = dict(before.claims)
        self.took = dict(before.took)
        self.said.pop(EXISTENCE, None)  # whatever it said before: it speaks of the record, so it has it
        self.claims.pop(EXISTENCE, None)

    def fresh(self) -> dict[str, Value]:
        """The fields of the event of which it has not said anything newer."""
        before, fields, at_ms = self.before, self._event.fields, self._event.observed_at_ms
        if before is None or (at_ms >= before.at_ms and not before.times):
            return dict(fields)
        return {name: value for name, value in fields.items() if at_ms >= _last_said(before, name)}

    def spoke_of(self, names: Iterable[str]) -> bool:
        """It has said something of one of these before."""
        return self.before is not None and any(name in self.before.names for name in names)

    def says(self, name: str) -> Value:
        """What it said of a field before this event; the record's value if that is the same."""
        if self.before is not None and name in self.before.said:
            return self.before.said[name]
        return self._record.values.get(name)

    def agrees(self, names: Iterable[str]) -> None:
        """It says what the record has."""
        for name in names:
            if name in self.said:
                del self.said[name]
                self.changes_its_mind((name,))
            self.claims.pop(name, None)

    def disagrees(self, names: Iterable[str], values: Iterable[Value], *, is_open: bool = False) -> None:
        """It says something else. `is_open`: it was refused, and may yet be one side of a conflict."""
        for name, value in zip(names, values, strict=True):
            if value == self._record.values.get(name):
                self.said.pop(name, None)
                self.claims.pop(name, None)
            else:
                self.said[name] = value
                self.claims[name] = Claim(self._seq, self._event.observed_at_ms, is_open)
            self.changes_its_mind((name,))

    def notes(self, names: Iterable[str], values: Iterable[Value]) -> None:
        """It says something else that is no claim: what it was given before another changed it again, or
        what only an alias has.
        """
        self.disagrees(names := tuple(names), values)
        for name in names:
            self.claims.pop(name, None)

    def changes_its_mind(self, names: Iterable[str]) -> None:
        """From now on it says something else of these: what it was given before is no longer what it has."""
        if self._two_way:
            self.since.update(dict.fromkeys(names, self._event.observed_at_ms))

    def took_up(self, names: Iterable[str], given_at_ms: int) -> None:
        """It has taken up late what it was given then: what it was given before will not come any more, and
        what it was given after that is still to come.
        """
        if self._lags:
            self.took.update(dict.fromkeys(names, given_at_ms))
            self.since.update(dict.fromkeys(names, given_at_ms))

    def seen(self, fresh: Iterable[str]) -> Seen:
        """What it has said, this event included."""
        before, at_ms, full = self.before, self._event.observed_at_ms, self._event.full
        if before is None or not before.names:
            first_ms = {EXISTENCE: at_ms} if self._two_way else {}
            return Seen(
                at_ms, tuple(fresh), self.said, {}, {**first_ms, **self.since}, self.claims, self.took
            )
        if full and at_ms >= before.at_ms and not before.times and before.names == tuple(self._event.fields):
            # The usual event: it speaks of all that it spoke of before.
            return Seen(at_ms, before.names, self.said, {}, self.since, self.claims, self.took)
        spoken = dict.fromkeys(before.names)
        names = before.names + tuple(name for name in fresh if name not in spoken)
        times = dict(before.times)
        newest_ms = before.at_ms
        if full and at_ms >= newest_ms:
            carried = self._event.fields
            times = {n: times.get(n, newest_ms) for n in names if n not in carried} | {
                n: t for n, t in times.items() if t > at_ms
            }
            newest_ms = at_ms
        else:
            times |= {name: at_ms for name in fresh if at_ms != newest_ms}
            if at_ms == newest_ms:
                times = {n: t for n, t in times.items() if n not in fresh}
        return Seen(newest_ms, names, self.said, times, self.since, self.claims, self.took)


def _last_said(seen: Seen, name: str) -> int:
    if name in seen.times:
        return seen.times[name]
    return seen.at_ms if name in seen.names else 0
