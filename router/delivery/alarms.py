"""What a person has to look at, of how deliveries ended: dead letters, and what a limit holds."""

from collections.abc import Sequence

from bus.messages import Outcome
from bus.port import Message
from router.alerts import Seldom, alert_message
from router.delivery.settled import HeldWork, Settled


class Alarms:
    """Of one destination. `held_work`: by key what is held there now."""

    def __init__(self, system: str) -> None:
        self._system = system
        self._seldom = Seldom()
        self.held_work: dict[str, HeldWork] = {}

    @property
    def held(self) -> str:
        """Why a guard at the destination holds removals, or ''."""
        return next((each.reason for each in self.held_work.values()), "")

    def told(self, settled: Sequence[Settled], failed: int, now_ms: int) -> list[Message]:
        """For the outbox, in the commit that settles these. `failed`: how many of them have."""
        if self.held_work:
            for each in settled:
                self.held_work.pop(each.claim.key, None)
        self.held_work.update(
            {each.claim.key: each.held_work for each in settled if each.outcome is Outcome.HELD}
        )
        told = []
        if failed and self._seldom.due("dead-letters", now_ms):
            text = (
                f"{self._system}: {failed} records went to the dead letters, and more may follow."
                f" See: yellowbus failed list --to {self._system}"
            )
            told.append(alert_message("dead-letters", self._system, str(now_ms), now_ms, text))
        if self.held_work and self._seldom.due("held-removals", now_ms):
            text = f"{self._system}: {len(self.held_work)} removals {self.held}"
            told.append(alert_message("held-removals", self._system, str(now_ms), now_ms, text))
        return told

    def lost(self) -> None:
        """What was told did not reach our own disk: it is told again."""
        self._seldom = Seldom()
