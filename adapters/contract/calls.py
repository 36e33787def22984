"""Laws of the other calls: check, close, listing; and of systems that are not there, or shut us out."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from bus.adapter import Destination, Lists
from bus.errors import ConfigError, Unavailable
from bus.messages import Op, Outcome

from .asking import WRITTEN, attempt, differing, must_be, must_be_said_well, must_have, one, opened, tell
from .law import Broken, NotApplicable
from .records import PLANES
from .subject import Subject

_NEW = (Outcome.DELIVERED,)
REFUSED = "token-refused"
"""The reason code of a credential that a system does not take."""


async def check_is_content_with_a_system_in_order(subject: Subject) -> None:
    """Before the first record, and after it."""
    async with opened(subject.make()) as there:
        await there.check()
        await one(there, subject.delivery("1001", 1), is_=_NEW, of="a record")
        await there.check()


async def a_system_that_is_not_there_is_said_to_be_unavailable(subject: Subject) -> None:
    """And by name: nothing is lost, all of it waits."""
    async with opened(subject.make_unreachable()) as there:
        await _raises((Unavailable, ConfigError), there.check, "check")
        await _raises((Unavailable,), lambda: there.apply([subject.delivery("1001", 1)]), "a delivery")


async def a_refused_credential_is_unavailable_with_a_runbook(subject: Subject) -> None:
    """No record is at fault: a person mends the token, and all goes on."""
    async with opened(subject.make_refused()) as there:
        deliver = lambda: there.apply([subject.delivery("1001", 1)])  # noqa: E731
        for call, of in ((there.check, "check"), (deliver, "a delivery")):
            error = await _raises((Unavailable,), call, of)
            if error.runbook != REFUSED:
                raise Broken(f"the runbook {REFUSED}", f'{of}: the runbook "{error.runbook}"')


async def while_its_system_takes_nothing_it_is_unavailable(subject: Subject) -> None:
    """Locked by another program, or not mounted: later all is delivered, by the same adapter."""
    await _for_a_while(subject, subject.blocked())


async def while_its_disk_is_full_it_is_unavailable(subject: Subject) -> None:
    """Nothing is half written, and nothing is lost: there is room again, and all is delivered."""
    await _for_a_while(subject, subject.full())


async def it_closes_twice(subject: Subject) -> None:
    """Whoever stops a router may stop it again."""
    there = subject.make()
    await one(there, subject.delivery("1001", 1), is_=_NEW, of="a record")
    await there.close()
    await there.close()


async def another_one_goes_on_where_one_was_closed(subject: Subject) -> None:
    """After a restart what is there is known to be there."""
    async with opened(subject.make()) as there:
        await one(there, subject.delivery("1001", 1), is_=_NEW, of="a record")
    async with opened(subject.make()) as there:
        await one(there, subject.delivery("1001", 1), is_=subject.same, of="the same by another one")


async def what_it_lists_is_what_it_was_told(subject: Subject) -> None:
    """What can be compared is found in the list as it was told, and what is gone is not."""
    texts = {"1001": "Ada", "1002": PLANES, "1003": "gone", "1004": ""}
    async with opened(subject.make()) as there:
        _must_list(there, subject)
        batch = [subject.delivery(id_, n, subject.fields(id_, text)) for n, (id_, text) in _counted(texts)]
        receipts = await tell(there, *batch)
        for receipt in receipts:
            must_be(receipt, WRITTEN, "a record")
        ids = {id_: receipt.local_id or subject.id(id_) for id_, receipt in zip(texts, receipts, strict=True)}
        off, id_ = subject.switches_off, receipts[2].local_id
        gone = subject.delivery("1003", 9, op=Op.DELETE, deactivate=off, local_id=id_)
        await one(there, gone, is_=_NEW, of="a removal")

        assert isinstance(there, Lists)
        listed = {each.local_id: each.fields async for page in there.listing(subject.entity) for each in page}
    for id_, text in texts.items():
        found = listed.get(ids[id_])
        if (found is None) != (text == "gone"):
            raise Broken("all records that are there, by the ids of their receipts", "one more, or one less")
        if found is not None:
            if names := differing(subject.fields(id_, text), found):
                raise Broken("what was told", f"the list has something else in {', '.join(names)}")
            if differing(subject.fields(id_, "else"), found) != [subject.text_field]:
                raise Broken("what was told", f"the list has {subject.text_field} as nobody told it")


async def a_list_that_it_cannot_give_is_said_to_be_none(subject: Subject) -> None:
    """Half a list would look like records that are gone."""
    async with opened(subject.make_unreachable()) as there:
        _must_list(there, subject)
        await _raises((Unavailable,), lambda: _all(there, subject.entity), "a list")


async def _for_a_while(subject: Subject, trouble: AbstractAsyncContextManager[None]) -> None:
    async with opened(subject.make()) as there:
        await one(there, subject.delivery("1001", 1), is_=_NEW, of="a record before")
        delivery = subject.delivery("1002", 2)
        async with trouble:
            found = await attempt(there, delivery)
        if isinstance(found, Unavailable):
            must_be_said_well(found)
        else:
            must_be(found, (Outcome.RETRYING,), "a record while nothing can be written")
        await must_have(subject, "1002", None, "while nothing could be written")
        await one(there, delivery, is_=_NEW, of="the same record afterwards")
    for id_ in ("1001", "1002"):
        await must_have(subject, id_, subject.fields(id_), "afterwards")


async def _all(there: Destination, entity: str) -> None:
    assert isinstance(there, Lists)
    async for _ in there.listing(entity):
        pass


def _counted(texts: dict[str, str]) -> list[tuple[int, tuple[str, str]]]:
    return list(enumerate(texts.items(), start=1))


def _must_list(there: Destination, subject: Subject) -> None:
    if not isinstance(there, Lists) or subject.entity not in there.listed:
        raise NotApplicable("it cannot say all that it has")


async def _raises(
    expected: tuple[type[Unavailable | ConfigError], ...], call: Callable[[], Awaitable[object]], of: str
) -> Unavailable | ConfigError:
    names = " or ".join(each.__name__ for each in expected)
    try:
        await call()
    except expected as error:
        must_be_said_well(error)
        return error
    raise Broken(names, f"{of}: no error")
