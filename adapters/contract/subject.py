"""What a law needs to know of an adapter: how to make it, what to tell it, how to look at its system."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from bus.adapter import Delivery, Destination, EntityShape, Surroundings
from bus.messages import Fields, Op, Outcome, Value, Version

from .law import NotApplicable

SYSTEM = "there"
"""The name of the system in messages."""


class Subject(ABC):
    """A kind of destination, in front of a real system. What it keeps in `folder` is the adapter's own state.

    Ids are short here ("1001", as laws say them) wherever a law gives one; `id` makes those that the system
    sees of them. Whatever a subject cannot do it says by raising NotApplicable.
    """

    entity: str = "student"
    shape: EntityShape
    text_field: str
    """A field that takes any text."""
    compares_versions: bool = True
    """It refuses what is older than what it has."""
    looks: bool = True
    """It can see what is there before it writes. Else what is so already is written again, and DELIVERED."""
    patches: bool = True
    """It can leave alone a field that a delivery does not carry."""
    deletes: bool = True
    """A record can be taken away."""
    switches_off: bool = True
    """A record can stay there, switched off."""
    concurrent: int = 1

    def __init__(self, folder: Path, now_ms: Callable[[], int]) -> None:
        self.folder = folder
        self._now_ms = now_ms

    # The adapter

    @abstractmethod
    def make(self) -> Destination:
        """The adapter, in front of its system."""

    @abstractmethod
    def make_unreachable(self) -> Destination:
        """The adapter, in front of nothing."""

    def make_refused(self) -> Destination:
        """The adapter with a credential that the system refuses."""
        raise NotApplicable("its system has no credential")

    @property
    def address(self) -> str:
        """The base URL that a proxy can stand in front of."""
        raise NotApplicable("it does not speak HTTP")

    verify: bool | Path = True
    """Whose certificate to take there, as adapters have it in their settings."""

    def make_through(self, url: str, timeout_s: float) -> Destination:
        """The adapter, in front of its system by way of this URL; no request may take longer than that."""
        raise NotApplicable("it does not speak HTTP")

    # Its system

    @abstractmethod
    async def look(self, id_: str) -> Fields | None:
        """A record as the system itself has it, under the mapped names; None: not there, or switched off.

        Raises Broken if it is there twice.
        """

    def blocked(self) -> AbstractAsyncContextManager[None]:
        """Its system can take nothing meanwhile: another one has locked it, or it is not mounted."""
        raise NotApplicable("nothing but the network can be in its way")

    def full(self) -> AbstractAsyncContextManager[None]:
        """There is no room for what is written meanwhile."""
        raise NotApplicable("it writes to no disk of ours")

    # What it is told

    def id(self, id_: str) -> str:
        """A record's id as the system sees it."""
        return id_

    @abstractmethod
    def fields(self, id_: str, text: str = "Ada") -> dict[str, Value]:
        """A record that the system takes: `text` stands in `text_field`."""

    @abstractmethod
    def bad_fields(self, id_: str) -> dict[str, Value]:
        """A record that the system refuses."""

    @property
    def same(self) -> tuple[Outcome, ...]:
        """What may become of a delivery of what is so already."""
        return (Outcome.UNCHANGED,) if self.looks else (Outcome.UNCHANGED, Outcome.DELIVERED)

    def surroundings(self) -> Surroundings:
        return Surroundings(
            system=SYSTEM,
            state=self.folder,
            now_ms=self._now_ms,
            sleep=asyncio.sleep,
            entities=(self.shape,),
            concurrent=self.concurrent,
        )

    def delivery(
        self,
        id_: str,
        seq: int,
        fields: Fields | None = None,
        *,
        op: Op = Op.UPDATE,
        deactivate: bool = False,
        local_id: str = "",
    ) -> Delivery:
        """What the router would hand over for a record, in its `seq`-th version."""
        if fields is None:
            fields = {} if op is Op.DELETE else self.fields(id_)
        return Delivery(
            key=f"{self.entity}/{self.id(id_)}",
            id=self.id(id_),
            entity=self.entity,
            table=self.shape.table,
            op=op,
            deactivate=deactivate,
            version=Version(1, seq),
            local_id=local_id,
            fields=fields,
        )
