"""Laws of one record: what was told is there, once and as it was told, however often it is told."""

from bus.messages import Outcome

from .asking import WRITTEN, must_have, one, opened
from .law import NotApplicable
from .subject import Subject

PLANES = "".join(chr(plane << 16 | 0xF0) for plane in range(17)) + "e\u0301 \u202e \ufeff 👩‍👩‍👧"
"""A character of every plane of Unicode, and what is easily put together or turned around."""

_NEW = (Outcome.DELIVERED,)


async def the_same_delivery_twice_is_unchanged(subject: Subject) -> None:
    """The router tells everything at least once: what is so already is not written, or reported, again."""
    delivery = subject.delivery("1001", 1)
    async with opened(subject.make()) as there:
        await one(there, delivery, is_=_NEW, of="the first")
        await one(there, delivery, is_=subject.same, of="the second")


async def the_same_content_in_a_newer_version_is_unchanged(subject: Subject) -> None:
    """A change of a field that the system does not get is no news to it."""
    async with opened(subject.make()) as there:
        await one(there, subject.delivery("1001", 1), is_=_NEW, of="the first")
        await one(there, subject.delivery("1001", 2), is_=subject.same, of="the second")


async def what_was_written_reads_back(subject: Subject) -> None:
    """DELIVERED is a promise about the system, not about the request."""
    fields = subject.fields("1001")
    async with opened(subject.make()) as there:
        await one(there, subject.delivery("1001", 1, fields), is_=_NEW, of="a record")
    await must_have(subject, "1001", fields, "after it")


async def an_edit_replaces_what_was_there(subject: Subject) -> None:
    """An update, and not a second record."""
    before, after = subject.fields("1001", "before"), subject.fields("1001", "after")
    async with opened(subject.make()) as there:
        created = await one(there, subject.delivery("1001", 1, before), is_=_NEW, of="the first")
        edit = subject.delivery("1001", 2, after, local_id=created.local_id)
        await one(there, edit, is_=_NEW, of="an edit")
    await must_have(subject, "1001", after, "after the edit")


async def a_blank_field_reads_back_blank(subject: Subject) -> None:
    """Blank is a value: it takes away what was there."""
    blank = {**subject.fields("1001"), subject.text_field: None}
    async with opened(subject.make()) as there:
        await one(there, subject.delivery("1001", 1), is_=_NEW, of="the first")
        await one(there, subject.delivery("1001", 2, blank), is_=_NEW, of="an edit to blank")
    await must_have(subject, "1001", blank, "after the edit")


async def a_field_that_a_delivery_leaves_out_stays(subject: Subject) -> None:
    """What is not mapped belongs to the system."""
    if not subject.patches:
        raise NotApplicable("its system takes whole records only")
    fields = subject.fields("1001", "before")
    partial = {name: value for name, value in fields.items() if name != subject.text_field}
    async with opened(subject.make()) as there:
        await one(there, subject.delivery("1001", 1, fields), is_=_NEW, of="the first")
        await one(there, subject.delivery("1001", 2, partial), is_=WRITTEN, of="one without a field")
    await must_have(subject, "1001", fields, "after one without a field")


async def every_plane_of_Unicode_reads_back(subject: Subject) -> None:
    """People have names: no character is lost, changed or put together on the way."""
    fields = subject.fields("1001", PLANES)
    async with opened(subject.make()) as there:
        await one(there, subject.delivery("1001", 1, fields), is_=_NEW, of="a record")
    await must_have(subject, "1001", fields, "after it")


async def an_older_version_is_not_applied(subject: Subject) -> None:
    """Out of order: a second router, or a call that hung, may be late."""
    _must_compare(subject)
    newer, older = subject.fields("1001", "newer"), subject.fields("1001", "older")
    async with opened(subject.make()) as there:
        await one(there, subject.delivery("1001", 2, newer), is_=_NEW, of="the newer")
        await one(there, subject.delivery("1001", 1, older), is_=(Outcome.SUPERSEDED,), of="the older")
    await must_have(subject, "1001", newer, "after the older")


def _must_compare(subject: Subject) -> None:
    if not subject.compares_versions:
        raise NotApplicable("its system cannot compare versions")
