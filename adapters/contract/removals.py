"""Laws of records that go, and come back: deleted, or switched off where a system can do that."""

from bus.messages import Op, Outcome

from .asking import must_have, one, opened
from .law import NotApplicable
from .subject import Subject

_NEW = (Outcome.DELIVERED,)


async def a_deletion_twice_is_unchanged(subject: Subject) -> None:
    """Gone is gone: the second finds nothing to do."""
    await _twice(subject, deactivate=False)


async def a_deactivation_twice_is_unchanged(subject: Subject) -> None:
    """Switched off is switched off."""
    await _twice(subject, deactivate=True)


async def deleting_what_never_was_there_is_unchanged(subject: Subject) -> None:
    """A record may be gone before the system ever heard of it."""
    await _never_there(subject, deactivate=False)


async def deactivating_what_never_was_there_is_unchanged(subject: Subject) -> None:
    """And nothing is made only to be switched off."""
    await _never_there(subject, deactivate=True)


async def a_record_comes_back_after_its_deletion(subject: Subject) -> None:
    """Delete, then create: who moves away may come back."""
    await _back(subject, deactivate=False)


async def a_record_comes_back_after_its_deactivation(subject: Subject) -> None:
    """It is switched on again, and it is the same one."""
    await _back(subject, deactivate=True)


async def an_older_version_does_not_bring_a_deleted_record_back(subject: Subject) -> None:
    """Out of order: nobody reappears because a call was late."""
    await _stays_gone(subject, deactivate=False)


async def an_older_version_does_not_switch_a_record_on_again(subject: Subject) -> None:
    """Out of order: nobody can sign in again because a call was late."""
    await _stays_gone(subject, deactivate=True)


def _must_remove(subject: Subject, deactivate: bool) -> None:
    if deactivate and not subject.switches_off:
        raise NotApplicable("its system cannot switch a record off")
    if not deactivate and not subject.deletes:
        raise NotApplicable("its system deletes nothing")


async def _twice(subject: Subject, *, deactivate: bool) -> None:
    _must_remove(subject, deactivate)
    removal = subject.delivery("1001", 2, op=Op.DELETE, deactivate=deactivate)
    async with opened(subject.make()) as there:
        await one(there, subject.delivery("1001", 1), is_=_NEW, of="the record")
        await one(there, removal, is_=_NEW, of="the first removal")
        await one(there, removal, is_=subject.same, of="the second removal")
    await must_have(subject, "1001", None, "after its removal")


async def _never_there(subject: Subject, *, deactivate: bool) -> None:
    _must_remove(subject, deactivate)
    if deactivate and not subject.looks:
        raise NotApplicable("its system is not asked whether a record is there")
    removal = subject.delivery("1001", 1, op=Op.DELETE, deactivate=deactivate)
    async with opened(subject.make()) as there:
        await one(there, removal, is_=subject.same, of="the removal of what was never there")
    await must_have(subject, "1001", None, "after it")


async def _back(subject: Subject, *, deactivate: bool) -> None:
    _must_remove(subject, deactivate)
    async with opened(subject.make()) as there:
        created = await one(there, subject.delivery("1001", 1), is_=_NEW, of="the record")
        id_ = created.local_id
        removal = subject.delivery("1001", 2, op=Op.DELETE, deactivate=deactivate, local_id=id_)
        await one(there, removal, is_=_NEW, of="its removal")
        await one(there, subject.delivery("1001", 3, local_id=id_), is_=_NEW, of="its return")
    await must_have(subject, "1001", subject.fields("1001"), "after its return")


async def _stays_gone(subject: Subject, *, deactivate: bool) -> None:
    _must_remove(subject, deactivate)
    if not subject.compares_versions:
        raise NotApplicable("its system cannot compare versions")
    removal = subject.delivery("1001", 3, op=Op.DELETE, deactivate=deactivate)
    older = subject.delivery("1001", 2, subject.fields("1001", "older"))
    async with opened(subject.make()) as there:
        await one(there, subject.delivery("1001", 1), is_=_NEW, of="the record")
        await one(there, removal, is_=_NEW, of="its removal")
        await one(there, older, is_=(Outcome.SUPERSEDED,), of="the older")
    await must_have(subject, "1001", None, "after the older")
