"""How laws speak: to an adapter, of what it answered, and of what its system has then."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from bus.adapter import Delivery, Destination, Receipt
from bus.errors import Unavailable, YellowbusError
from bus.messages import Fields, Outcome, Value

from .law import Broken
from .subject import SYSTEM, Subject

WRITTEN: Final = (Outcome.DELIVERED, Outcome.UNCHANGED)
LATER: Final = (Outcome.RETRYING,)


@asynccontextmanager
async def opened(destination: Destination) -> AsyncIterator[Destination]:
    """Closed at the end, however that comes."""
    try:
        yield destination
    finally:
        await destination.close()


async def tell(there: Destination, *batch: Delivery) -> list[Receipt]:
    """A receipt for each delivery of a batch, in its order. Raises Broken for any other answer."""
    receipts = list(await there.apply(batch))
    if [receipt.key for receipt in receipts] != [delivery.key for delivery in batch]:
        raise Broken("a receipt for each delivery, in the order of the batch", f"{len(receipts)} others")
    return receipts


async def one(there: Destination, delivery: Delivery, *, is_: tuple[Outcome, ...], of: str) -> Receipt:
    """The receipt of a delivery, which must be one of these outcomes. `of` names the delivery."""
    [receipt] = await tell(there, delivery)
    must_be(receipt, is_, of)
    return receipt


async def attempt(there: Destination, delivery: Delivery) -> Receipt | Unavailable:
    """What becomes of a delivery on a bad night."""
    try:
        return (await tell(there, delivery))[0]
    except Unavailable as unavailable:
        return unavailable


def must_be(receipt: Receipt, outcomes: tuple[Outcome, ...], of: str) -> None:
    """Raises Broken for another outcome."""
    if receipt.outcome not in outcomes:
        reason = f": {receipt.reason}" if receipt.reason else ""
        raise Broken(" or ".join(outcomes), f"{of}: {receipt.outcome}{reason}")


async def must_have(subject: Subject, id_: str, fields: Fields | None, of: str) -> None:
    """The system has the record so, once; None: it has none. Raises Broken with the names of fields."""
    found = await subject.look(id_)
    if found is None or fields is None:
        if found is not fields:
            there = ("the record there", "none there")
            raise Broken(there[fields is None], f"{of}: {there[found is None]}")
        return
    if names := differing(fields, found):
        raise Broken("what was told", f"{of}: the system has something else in {', '.join(names)}")


def differing(told: Fields, found: Fields) -> list[str]:
    """The fields of which a system has something else than it was told."""
    return [name for name, value in told.items() if not same(value, found.get(name))]


def same(told: Value, found: Value) -> bool:
    """Is it the same? Blank is blank, and what was looked up as text is compared as text.

    >>> same(True, "true"), same(1.5, "1.50"), same(("a", "b"), "a,b"), same(None, "")
    (True, True, True, True)
    >>> same(True, 1), same("01", "1"), same("a", None)
    (False, False, False)
    """
    if told in (None, "", ()) or found in (None, "", ()):
        return told in (None, "", ()) and found in (None, "", ())
    if isinstance(found, str) and not isinstance(told, str):
        return _said_in_text(told, found)
    return isinstance(told, bool) == isinstance(found, bool) and told == found


def _said_in_text(told: Value, found: str) -> bool:
    if isinstance(told, bool):
        return found.lower() == str(told).lower()
    if isinstance(told, tuple):
        return found == ",".join(told)
    try:
        return float(found) == told
    except ValueError:
        return False


def must_tell_nothing(text: str, values: tuple[str, ...]) -> None:
    """No value of a record stands in it. Raises Broken."""
    if any(value and value in text for value in values):
        raise Broken("names of fields alone", "a reason or message with a value of the record in it")


def must_be_said_well(error: YellowbusError) -> None:
    """A message begins with the system's name: a person on call has forty of them."""
    if not error.message.startswith(f"{SYSTEM}: "):
        raise Broken(f'a message that begins with the system ("{SYSTEM}: ")', "another message")
