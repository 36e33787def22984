"""Names that only one account may have, and that go from one to another: who lets go of one goes first, and
of a circle one steps aside for a moment.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

from adapters.scim.attributes import EXTERNAL_ID, USER_NAME, Refused, look, operations, written
from adapters.scim.wire import Answer, Lost, Wire
from bus.adapter import Delivery, Receipt
from bus.errors import Unavailable
from bus.messages import Outcome

TAKEN: Final = "userName is taken by another account"
NOT_UNIQUE: Final = "another account has one of its unique attributes"
UNKNOWN: Final = "?"
REMEMBERED_MAX: Final = 10_000
LATER: Final = "its userName is another record's yet"

Result = Receipt | Unavailable


class Names:
    """`once` brings one account up to date; `name_of`: the userName that one is to have.

    Remembers which names were waited for from one batch to the next: two that swap may be tried apart.
    """

    def __init__(
        self,
        wire: Wire,
        once: Callable[[Delivery], Awaitable[Result]],
        name_of: Callable[[Delivery], str],
    ) -> None:
        self._wire = wire
        self._once = once
        self._name_of = name_of
        self._wanted: dict[str, str] = {}
        """By our id of a record the name that another one had when it was tried last."""

    async def untangle(self, batch: Sequence[Delivery], results: list[Result]) -> None:
        """Whoever was refused for a name is tried again, as long as that comes to something. A name that
        another record of ours has is not refused for good: that record may be about to get another one.
        """
        for delivery in batch:
            self._wanted.pop(delivery.id, None)
        moved = any(isinstance(each, Receipt) and each.outcome is Outcome.DELIVERED for each in results)
        while blocked := list(_blocked(results)):
            if not moved and not await self._steps_aside([batch[n] for n in blocked]):
                break
            moved = False
            for n in blocked:
                results[n] = await self._once(batch[n])
                moved = moved or not _is_blocked(results[n])
        for n in blocked:
            try:
                holder = await self._holder(batch[n].id, self._name_of(batch[n]))
            except (Answer, Lost):  # then a no is not for good either
                holder = UNKNOWN
            if holder not in ("", UNKNOWN):
                self._remember(batch[n])
            if holder:
                results[n] = Receipt(batch[n].key, Outcome.RETRYING, LATER, batch[n].local_id)

    def _remember(self, delivery: Delivery) -> None:
        if len(self._wanted) >= REMEMBERED_MAX:
            self._wanted.clear()  # they are tried again, and remembered then
        self._wanted[delivery.id] = self._name_of(delivery)

    async def _holder(self, id_: str, name: str) -> str:
        """Whose the name is that a record is to have: our id of that one; '' : nobody's of ours, or its own.

        Raises Answer or Lost.
        """
        if not name:
            return ""
        found = await self._wire.find(USER_NAME.name, name)
        ids = [str(look(account, EXTERNAL_ID) or "") for account in found]
        return next((each for each in ids if each and each != id_), "")

    async def _steps_aside(self, blocked: Sequence[Delivery]) -> bool:
        """Of those that wait for each other in a circle one gets a name that nobody wants. It is on its way
        still: whatever happens now, it is brought up to date later.
        """
        wanted = self._wanted | {delivery.id: self._name_of(delivery) for delivery in blocked}
        waits_for: dict[str, str] = {}
        for delivery in blocked:
            at, seen = delivery.id, {delivery.id}
            try:
                while at:
                    if at not in waits_for:
                        waits_for[at] = await self._holder(at, wanted.get(at, ""))
                    if (at := waits_for[at]) in seen:
                        break
                    seen.add(at)
            except (Answer, Lost):
                return False
            if at == delivery.id:
                return await self._renamed(delivery)
        return False

    async def _renamed(self, delivery: Delivery) -> bool:
        try:
            [account] = await self._wire.find(EXTERNAL_ID.name, delivery.id)
            _, at, domain = str(look(account, USER_NAME) or "").partition("@")
            aside = {USER_NAME: f"moving-{delivery.id}{at}{domain}"}
            await self._wire.update(account, operations(account, aside), written(account, aside))
        except (Answer, Lost, Refused, ValueError):
            return False
        return True


def _blocked(results: Sequence[Result]) -> Iterator[int]:
    return (n for n, result in enumerate(results) if _is_blocked(result))


def _is_blocked(result: Result) -> bool:
    return (
        isinstance(result, Receipt)
        and result.outcome is Outcome.FAILED
        and (result.reason == TAKEN or result.reason.endswith(NOT_UNIQUE))
    )
