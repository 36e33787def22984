"""What a law is, and what becomes of it: kept, broken, or not to be held here."""

import inspect
import traceback
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from bus.errors import YellowbusError

if TYPE_CHECKING:
    from .subject import Subject


class Broken(Exception):
    """A law that is not kept. Its text tells no value of a record: it may be shown to anybody."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"{found} (expected: {expected})")
        self.expected = expected
        self.found = found


class NotApplicable(Exception):
    """Why a law cannot be held against this system."""


class Law(NamedTuple):
    """`name` is the sentence that is true when it is kept, `why` what it is for."""

    name: str
    why: str
    keep: "Callable[[Subject], Awaitable[None]]"


class Became(StrEnum):
    """What becomes of a law."""

    KEPT = "kept"
    BROKEN = "BROKEN"
    NOT_RUN = "not run"


class Verdict(NamedTuple):
    """What became of one law, and why."""

    law: Law
    became: Became
    text: str = ""


def laws_of(module: ModuleType) -> tuple[Law, ...]:
    """Every public coroutine function that a module defines, in its order."""
    return tuple(
        Law(name.replace("_", " "), inspect.getdoc(found) or "", found)
        for name, found in vars(module).items()
        if inspect.iscoroutinefunction(found)
        and found.__module__ == module.__name__
        and not name.startswith("_")
    )


async def hold(law: Law, subject: "Subject") -> Verdict:
    """Hold a law against an adapter. What the adapter raises and should not is a law that is broken."""
    try:
        await law.keep(subject)
    except NotApplicable as why:
        return Verdict(law, Became.NOT_RUN, str(why))
    except Broken as broken:
        return Verdict(law, Became.BROKEN, str(broken))
    except YellowbusError as error:
        return Verdict(law, Became.BROKEN, f"it raised {type(error).__name__}: {error}")
    except Exception as error:  # a bug in the adapter; its text may hold values
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(at.filename).name}:{at.lineno} {at.name}"
        return Verdict(law, Became.BROKEN, f"it raised {type(error).__name__} in {where}")
    return Verdict(law, Became.KEPT)
