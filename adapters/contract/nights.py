"""Laws of bad nights: whatever the way to the system does, no record is lost, refused or there twice.

Each fault strikes a creation, an edit and a removal, at each request that they take, one after the other:
the look before a write is as good a place for a fault as the write. A line that breaks does so once, so that
what an adapter asks next is answered; and it stays so, because some clients ask again by themselves.
Afterwards the router would tell the same again, and so do they.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final, NamedTuple

from bus.adapter import Delivery, Destination, Receipt
from bus.errors import Unavailable
from bus.messages import Fields, Op, Outcome

from .asking import (
    LATER,
    WRITTEN,
    attempt,
    must_be,
    must_be_said_well,
    must_have,
    must_tell_nothing,
    one,
    opened,
    tell,
)
from .calls import REFUSED
from .law import Broken
from .proxy import (
    Fault,
    Forward,
    Proxy,
    answer,
    cut_after,
    cut_before,
    cut_in_answer,
    hang_after,
    hang_before,
    proxy_for,
)
from .subject import Subject

RETRY_AFTER_S: Final = 7
SECRET: Final = "Lovelace-Telltale"
"""Stands in each record, and in what the spoiled answers say: no message may repeat it."""
REQUESTS_MAX: Final = 20
"""More than one delivery takes."""
TIMEOUT_S: Final = 0.3
PATIENCE_S: Final = 20.0
"""An adapter without a limit of its own is stopped, as the router would; later than one that has one."""

Found = Receipt | Unavailable
Judge = Callable[[Found], None]


async def a_lost_answer_leaves_the_record_there_once(subject: Subject) -> None:
    """It was done, and nobody was told: asked again, there is no second one."""
    await _at_each_request(subject, cut_after, _later)
    await _at_each_request(subject, cut_after, _later, lasts=True)


async def an_answer_that_breaks_off_leaves_the_record_there_once(subject: Subject) -> None:
    """Cut in mid-body: half an answer is none."""
    await _at_each_request(subject, cut_in_answer, _later)
    await _at_each_request(subject, cut_in_answer, _later, lasts=True)


async def a_request_that_never_arrives_is_made_again(subject: Subject) -> None:
    """The connection breaks before the system has seen anything."""
    await _at_each_request(subject, cut_before, _later)
    await _at_each_request(subject, cut_before, _later, lasts=True)


async def too_many_requests_are_to_wait_as_long_as_the_system_says(subject: Subject) -> None:
    """429 is no word about the record: it waits, as long as Retry-After says."""
    await _at_each_request(subject, _says(429, Retry_After=str(RETRY_AFTER_S)), _waits)


async def a_system_that_is_down_for_a_while_is_waited_for(subject: Subject) -> None:
    """503, with Retry-After."""
    await _at_each_request(subject, _says(503, Retry_After=str(RETRY_AFTER_S)), _waits)


async def an_error_of_the_system_is_no_fault_of_the_record(subject: Subject) -> None:
    """500: it is tried again, and does not fail."""
    await _at_each_request(subject, _says(500), _later)


async def a_page_of_a_proxy_is_no_answer(subject: Subject) -> None:
    """502 in HTML, by something that stands before the system."""
    page = f"<html>Bad gateway for {SECRET}</html>"
    await _at_each_request(subject, answer(502, page, Content_Type="text/html"), _later)


async def an_expired_token_is_no_fault_of_the_record(subject: Subject) -> None:
    """401: a token of its own is renewed; else it says so, and goes on once a person has mended it."""
    await _at_each_request(subject, _says(401), _shut_out)


async def a_system_that_hangs_is_given_up(subject: Subject) -> None:
    """It takes the request, and nothing comes: within the adapter's time, or else the router's."""
    await _hanging(subject, hang_before, lasts=True)


async def a_system_that_hangs_when_it_has_done_it_has_the_record_once(subject: Subject) -> None:
    """Like a lost answer, but nobody says that it is lost."""
    await _hanging(subject, hang_after, lasts=False)


async def a_system_that_goes_down_within_a_batch_loses_none_of_it(subject: Subject) -> None:
    """At each request in turn: what was not done waits, what was done is there once."""
    async with _proxied(subject) as proxy:
        for nth in range(REQUESTS_MAX):
            ids = [f"{1100 + 10 * nth + n}" for n in range(3)]
            batch = [subject.delivery(id_, n, subject.fields(id_, SECRET)) for n, id_ in enumerate(ids, 1)]
            proxy.spoil_nth(nth, _says(503))
            async with opened(subject.make_through(proxy.url, PATIENCE_S)) as there:
                with suppress(Unavailable):
                    for receipt in await tell(there, *batch):
                        must_be(receipt, (*WRITTEN, *LATER), "a record of the batch")
                never_came = proxy.mend()
                for receipt in await tell(there, *batch):
                    must_be(receipt, WRITTEN, "a record of the batch, told again")
            for id_ in ids:
                await must_have(subject, id_, subject.fields(id_, SECRET), "after the batch")
            if never_came:
                return


async def a_restart_between_request_and_answer_leaves_the_record_there_once(subject: Subject) -> None:
    """The router is gone when the answer comes. The next one knows of nothing, and tells it again."""
    for deed in _deeds(subject):
        async with _proxied(subject) as proxy:
            await deed.prepare(subject)
            is_done = asyncio.Event()

            async def answer_to_nobody(forward: Forward, is_done: asyncio.Event = is_done) -> bytes:
                await forward()
                is_done.set()
                return await hang_before(forward)

            proxy.spoil_write(answer_to_nobody)
            async with opened(subject.make_through(proxy.url, PATIENCE_S)) as there:
                await _stop_when(is_done, there, deed.delivery)
            await deed.again(subject, subject.make())


async def a_router_that_is_killed_before_the_answer_finds_the_record_there_once(subject: Subject) -> None:
    """Written, but nobody was told, and nothing was closed: another one in the same state tells it again."""
    for deed in _deeds(subject):
        await deed.prepare(subject)
        async with opened(subject.make()) as killed:
            await tell(killed, deed.delivery)
            await deed.again(subject, subject.make())


async def a_call_that_is_cancelled_can_be_made_again(subject: Subject) -> None:
    """The router stops in the middle, and the next one goes on in the same state."""
    for deed in _deeds(subject):
        await deed.prepare(subject)
        is_begun = asyncio.Event()
        async with opened(subject.make()) as there:
            asyncio.get_running_loop().call_soon(is_begun.set)
            await _stop_when(is_begun, there, deed.delivery)
        await deed.again(subject, subject.make())


# -- what is delivered


class _Deed(NamedTuple):
    """A creation, an edit or a removal: what is there before, what is told, and what is there then."""

    name: str
    id_: str
    before: Delivery | None
    delivery: Delivery
    fields: Fields | None

    async def prepare(self, subject: Subject) -> None:
        if self.before:
            async with opened(subject.make()) as there:
                await one(there, self.before, is_=(Outcome.DELIVERED,), of="the record before")

    async def again(self, subject: Subject, destination: Destination) -> None:
        """As the router would: the same, until it is there. Then it is there once."""
        async with opened(destination) as there:
            await one(there, self.delivery, is_=WRITTEN, of=f"{self.name}, told again")
        await must_have(subject, self.id_, self.fields, f"after {self.name}")


def _deeds(subject: Subject, first: int = 1001) -> tuple[_Deed, ...]:
    """Of records of their own, from this number on."""
    made, edited, gone = (f"{first + n}" for n in range(3))

    def put(id_: str, seq: int, text: str) -> Delivery:
        return subject.delivery(id_, seq, subject.fields(id_, text))

    removal = subject.delivery(gone, 2, op=Op.DELETE, deactivate=not subject.deletes)
    return (
        _Deed("a creation", made, None, put(made, 1, SECRET), subject.fields(made, SECRET)),
        _Deed(
            "an edit",
            edited,
            put(edited, 1, "before"),
            put(edited, 2, SECRET),
            subject.fields(edited, SECRET),
        ),
        _Deed("a removal", gone, put(gone, 1, SECRET), removal, None),
    )


# -- how faults strike


@asynccontextmanager
async def _proxied(subject: Subject) -> AsyncIterator[Proxy]:
    async with proxy_for(subject.address, verify=subject.verify) as proxy:
        yield proxy


async def _at_each_request(subject: Subject, fault: Fault, judge: Judge, *, lasts: bool = False) -> None:
    async with _proxied(subject) as proxy:
        left = {0, 1, 2}
        for nth in range(REQUESTS_MAX):
            deeds = _deeds(subject, (5001 if lasts else 1001) + 10 * nth)
            for number in sorted(left):
                spoil = partial(proxy.spoil_nth, nth, fault, lasts=lasts)
                if not await _strikes(subject, proxy, deeds[number], spoil, judge, f"request {nth + 1}"):
                    left.remove(number)
            if not left:
                return
    raise Broken(f"at most {REQUESTS_MAX} requests for a delivery", "more of them")


async def _strikes(
    subject: Subject, proxy: Proxy, deed: _Deed, spoil: Callable[[], None], judge: Judge, at: str
) -> bool:
    """A delivery in which a fault strikes. Did its request come?"""
    await deed.prepare(subject)
    spoil()
    through = subject.make_through(proxy.url, PATIENCE_S)
    async with opened(through) as there:
        found = await attempt(there, deed.delivery)
        never_came = proxy.mend()
        if never_came and isinstance(found, Unavailable):
            raise found
        if not never_came:
            _judge(found, judge, f"{deed.name}, with the fault at {at}")
        if isinstance(found, Receipt) and found.outcome in WRITTEN:
            await must_have(subject, deed.id_, deed.fields, f"{deed.name}, with the fault at {at}")
        await deed.again(subject, there)
    return not never_came


async def _hanging(subject: Subject, fault: Fault, *, lasts: bool) -> None:
    async with _proxied(subject) as proxy:
        for deed in _deeds(subject):
            await deed.prepare(subject)
            proxy.spoil_write(fault, lasts=lasts)
            async with opened(subject.make_through(proxy.url, TIMEOUT_S)) as there:
                with suppress(TimeoutError):
                    async with asyncio.timeout(PATIENCE_S):
                        _judge(await attempt(there, deed.delivery), _later, deed.name)
            proxy.mend()
            await deed.again(subject, subject.make())


async def _stop_when(is_time: asyncio.Event, there: Destination, delivery: Delivery) -> None:
    """Begin a call, and cancel it then; or it was faster."""
    async with asyncio.TaskGroup() as group:
        call = group.create_task(attempt(there, delivery))
        waiting = group.create_task(is_time.wait())
        await asyncio.wait((call, waiting), return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE_S)
        call.cancel()
        waiting.cancel()


def _says(status: int, **headers: str) -> Fault:
    return answer(status, f'{{"detail": "{SECRET}", "status": "{status}"}}', **headers)


# -- what may be said then


def _judge(found: Found, judge: Judge, of: str) -> None:
    try:
        if isinstance(found, Receipt):
            must_be(found, (*WRITTEN, *LATER), "its receipt")
            must_tell_nothing(found.reason, (SECRET,))
        else:
            must_be_said_well(found)
            must_tell_nothing(found.message, (SECRET,))
        judge(found)
    except Broken as broken:
        raise Broken(broken.expected, f"{of}: {broken.found}") from None


def _later(found: Found) -> None:
    """It is done by now, or it waits."""


def _waits(found: Found) -> None:
    """As long as was said; or it has been done all the same."""
    if isinstance(found, Receipt) and found.outcome in WRITTEN:
        return
    if found.retry_after_s != RETRY_AFTER_S:
        raise Broken(f"to wait {RETRY_AFTER_S} s, as Retry-After says", f"to wait {found.retry_after_s}")


def _shut_out(found: Found) -> None:
    if isinstance(found, Unavailable) and found.runbook != REFUSED:
        raise Broken(f"the runbook {REFUSED}", f'the runbook "{found.runbook}"')
