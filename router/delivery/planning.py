"""What each record of a work list asks of one destination: mapped, compared, and as far as it may be done."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bus.messages import Outcome, Record, Value, Version
from router.core.delivery import HELD_UNKNOWN, Planned, Route, allowed, plan
from router.core.held import NOTHING_GIVEN, Given
from router.core.identity import UNKNOWN
from router.core.mapping import id_of
from router.delivery.both_ways import BothWays
from router.delivery.leaving import Leaving
from router.delivery.settled import Claim
from router.modes import LIVE
from router.store import Store

EVERYTHING: Final[Mapping[str, str]] = {}
MAY_BE_THERE: Final = "something there may be it, and matches nothing yet: yellowbus unmatched list"


class Planning:
    """Of one destination. `own_ids`: it has ids of its own for some records."""

    def __init__(
        self,
        *,
        system: str,
        mode: Callable[[], str],
        routes: Mapping[str, Route],
        both_ways: BothWays,
        store: Store,
        key: bytes,
        epoch: int,
        leaving: Leaving,
    ) -> None:
        self._system = system
        self._mode = mode
        self._routes = routes
        self._both_ways = both_ways
        self._store = store
        self._key = key
        self._epoch = epoch
        self._leaving = leaving
        self.own_ids = bool(store.read("any_own_id", system))

    def many(
        self,
        claims: Sequence[Claim],
        records: Mapping[str, Record],
        given: Mapping[str, Given],
        in_doubt: Callable[[Claim, Record], bool],
        because: Mapping[str, str] = EVERYTHING,
    ) -> list[tuple[Claim, Record, Planned]]:
        """What to do of each of these. `because`: by key why a record is not for this destination."""
        reference, left, mode = self.reference(), self._leaving.left(claims), self._mode()
        return [
            self.plan(
                claim,
                record := records[claim.key],
                reference,
                given.get(claim.key, NOTHING_GIVEN),
                mode,
                in_doubt=in_doubt(claim, record),
                because=because.get(claim.key, ""),
                has_left=claim.key in left,
            )
            for claim in claims
        ]

    def plan(
        self,
        claim: Claim,
        record: Record,
        reference: Callable[[str], str],
        given: Given,
        mode: str,
        *,
        in_doubt: bool,
        because: str = "",
        has_left: bool = False,
    ) -> tuple[Claim, Record, Planned]:
        """What to do, with the claim as the system knows the record, and the record as it is told it.
        `in_doubt`: what is there may not be what the ledger says. `because`: why it is not for this
        destination. `has_left`: it was switched off long enough ago.
        """
        version = Version(self._epoch, record.seq)
        route = self._routes.get(record.entity)
        if route is None:  # taken out of the configuration since it was marked
            return claim, record, Planned(None, Outcome.FILTERED, claim.held.hash, "not configured")
        has_it: bool | None = None
        base: Mapping[str, Value] = {}
        if record.entity in self._both_ways.names:
            claim = self._both_ways.linked(claim, record)
            base = self._both_ways.base(record, given)
            record, has_it = self._both_ways.told(record, given)
        held = claim.held._replace(hash=HELD_UNKNOWN) if in_doubt or claim.force else claim.held
        found = plan(record, version, held, route, self._key, reference, has_it, because, has_left)
        if found.outcome is Outcome.FAILED:  # nothing is sent: what is there is what was
            found = found._replace(hash=claim.held.hash)
        if base and found.delivery and not held.is_new:
            found = found._replace(delivery=found.delivery._replace(base=base))
        if claim.force and found.delivery:  # an adapter's own memory of it does not count either
            found = found._replace(delivery=found.delivery._replace(again=True))
        if mode != LIVE:
            found = allowed(found, held, mode)
        if found.delivery and held.is_new and self._both_ways.may_be_there(record):
            found = Planned(None, Outcome.RETRYING, "", MAY_BE_THERE)
        return claim, record, found

    def reference(self) -> Callable[[str], str]:
        """What this destination calls a record that another one refers to."""
        if not self.own_ids:
            return id_of
        store, system = self._store, self._system
        known: dict[str, str] = {}

        def name(key: str) -> str:
            if key not in known:
                own = {} if key.startswith(f"{UNKNOWN}/") else store.own_ids(system, [key])
                known[key] = own.get(key) or id_of(key)
            return known[key]

        return name
