"""How far an export has come on its way from a source to all destinations."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from rich.table import Table

from console.client import Client

NOTHING: Final[Mapping[str, Mapping[str, int]]] = {}
ENDED: Final = frozenset({"accepted", "unchanged", "refused", "held"})


class Flow(NamedTuple):
    """One look at it. `changes_before`: the newest change before it; `outcomes_before`: what each destination
    had settled until then.
    """

    read: Mapping[str, Any] | None
    undecided: int
    unmarked: int
    status: Mapping[str, Any]
    changes_before: int
    outcomes_before: Mapping[str, Mapping[str, int]] = NOTHING

    @property
    def done(self) -> bool:
        """The read is ended, and nothing of it is under way any more."""
        return bool(self.read and self.read["outcome"] in ENDED) and self.quiet

    @property
    def quiet(self) -> bool:
        """Nothing is under way."""
        moving = sum(map(under_way, self.destinations.values()))
        return not any((self.undecided, self.unmarked, self.status["outbox"], moving))

    @property
    def took_s(self) -> float:
        """Since the read began."""
        return (self.status["at_ms"] - self.read["started_ms"]) / 1000 if self.read else 0.0

    @property
    def rows(self) -> int:
        return int(self.read["rows"]) if self.read else 0

    @property
    def events(self) -> int:
        return sum(int(self.read[name]) for name in ("creates", "updates", "deletes")) if self.read else 0

    @property
    def changes(self) -> int:
        return max(int(self.status["changes"]) - self.changes_before, 0)

    @property
    def destinations(self) -> Mapping[str, Mapping[str, Any]]:
        found: Mapping[str, Mapping[str, Any]] = self.status["destinations"]
        return found

    @property
    def waiting(self) -> int:
        return sum(each["waiting"] for each in self.destinations.values())

    def settled(self, name: str, outcome: str) -> int:
        """Deliveries to a destination that ended so, since the router's start or what was before."""
        before = self.outcomes_before.get(name, {}).get(outcome, 0)
        return int(self.destinations[name]["outcomes"].get(outcome, 0)) - before

    @property
    def delivered(self) -> int:
        return sum(self.settled(name, "delivered") for name in self.destinations)

    @property
    def failed(self) -> int:
        return sum(self.settled(name, "failed") for name in self.destinations)

    @property
    def unreachable(self) -> str:
        return next((each["unreachable"] for each in self.destinations.values() if each["unreachable"]), "")


async def look(
    bus: Client,
    source: str,
    after_read: int,
    changes_before: int,
    outcomes_before: Mapping[str, Mapping[str, int]] = NOTHING,
) -> Flow:
    """One look, in the direction of the flow: so what has left one step is not missed in the next."""
    undecided = await bus.pending("EVENTS", "intake")
    names = list((await bus.ask("status"))["destinations"])
    unmarked = [await bus.pending("CHANGES", name) for name in names]
    status = await bus.ask("status")
    read = status["sources"][source]["last_read"]
    return Flow(
        read if read and read["number"] > after_read else None,
        1 if undecided is None else undecided,
        sum(1 if count is None else count for count in unmarked),
        status,
        changes_before,
        outcomes_before,
    )


def under_way(destination: Mapping[str, Any]) -> int:
    """How many records of a destination go on by themselves: the others wait for what failed, or is held."""
    waits: int = destination["waiting"] - sum(each["records"] for each in destination["waits_for"].values())
    return waits


def looked(flow: Flow, but: str, since_ms: float) -> bool:
    """Have all other sources that are looked at been looked at since then, if they can be?"""
    sources = [each for name, each in flow.status["sources"].items() if name != but and not each["heard"]]
    reads = [each["last_read"] for each in sources if not each["unreachable"]]
    return all(read and read["started_ms"] >= since_ms and read["ended_ms"] for read in reads)


def line(flow: Flow) -> str:
    """The look in one line."""
    parts = [
        f"{flow.took_s:5.1f} s",
        f"{flow.rows:,} rows",
        f"{flow.events:,} events",
        f"{flow.changes:,} changes",
    ]
    parts += [f"{name} {flow.settled(name, 'delivered'):,}" for name in sorted(flow.destinations)]
    return ", ".join([*parts, f"{rate(flow.delivered, flow.took_s):,} deliveries/s"])


def table(flow: Flow, title: str | None = None) -> Table:
    """The look, or the end of it, for a terminal or a file."""
    found = Table(title=title, title_justify="left", box=None, pad_edge=False)
    found.add_column("destination")
    for column in ("delivered", "unchanged", "filtered", "failed", "waiting", "per second"):
        found.add_column(column, justify="right")
    for name in sorted(flow.destinations):
        counts = [flow.settled(name, each) for each in ("delivered", "unchanged", "filtered", "failed")]
        waiting = int(flow.destinations[name]["waiting"])
        found.add_row(name, *(f"{count:,}" for count in (*counts, waiting, rate(counts[0], flow.took_s))))
    return found


def rate(count: int, took_s: float) -> int:
    """Per second."""
    return round(count / took_s) if took_s > 0 else 0
