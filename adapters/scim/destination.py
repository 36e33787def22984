"""One account at a time: find it, compare it, write what differs; several at the same time.

SCIM cannot compare our versions, so nothing is ever SUPERSEDED here; If-Match keeps a write from going over
what somebody else wrote since we looked. A record that is there is an account that is switched on: unless
the mapping has `active`, a delivery sets it, so that who comes back after a deactivation can sign in.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import ClassVar

from adapters.scim import mapped
from adapters.scim.attributes import (
    ACTIVE,
    EXTERNAL_ID,
    USER_NAME,
    Attribute,
    Json,
    Refused,
    differing,
    folded,
    get,
    look,
    operations,
    value_for,
    written,
)
from adapters.scim.meaning import Meaning
from adapters.scim.names import NOT_UNIQUE, TAKEN, Names
from adapters.scim.paging import Incomplete, pages
from adapters.scim.settings import Settings, wire_of
from adapters.scim.wire import Answer, Lost
from adapters.web.turns import in_turns, receipts
from bus.adapter import Delivery, EntityShape, Listed, Misfit, Receipt, Surroundings, must_fit
from bus.errors import ConfigError, Unavailable
from bus.messages import Op, Outcome

Values = Mapping[Attribute, str | bool | None]


class Destination:
    """A SCIM service that is told."""

    batch_records_max: ClassVar[int] = 100

    def __init__(self, settings: Settings, surroundings: Surroundings) -> None:
        """Raises ConfigError for a mapping that does not fit an account."""
        self._system = surroundings.system
        self._url = settings.url
        must_fit(self._system, self.misfits(settings, surroundings.entities))
        self._attributes = {shape.entity: mapped.places(shape) for shape in surroundings.entities}
        self._wire = wire_of(settings, self._system, surroundings.concurrent)
        self._meaning = Meaning(f"{self._system}: {settings.url}", surroundings.now_ms)
        self._at_once = surroundings.concurrent
        self._names = Names(self._wire, self._one, self._name_of)
        self._probed = False

    @staticmethod
    def misfits(settings: Settings | None, shapes: Sequence[EntityShape]) -> Iterable[Misfit]:
        """Resources, attributes and values that no account has. See Misfit."""
        return mapped.misfits(shapes)

    async def check(self) -> None:
        """Does the service answer, does it take our token, can it do what we need?

        Raises Unavailable or ConfigError.
        """
        try:
            config = await self._wire.probe()
            await self._wire.find(EXTERNAL_ID.name, "yellowbus-check")
        except Answer as answer:
            if answer.status == 404:
                raise ConfigError(
                    f"{self._system}: {self._url}/Users: 404. See the url in the settings"
                ) from answer
            raise self._meaning.unavailable(answer) from answer
        except Lost as lost:
            raise self._meaning.unavailable(lost) from lost
        if get(get(config, "filter"), "supported") is False:
            raise ConfigError(f"{self._system}: {self._url}: cannot filter, so no account can be found there")

    async def apply(self, batch: Sequence[Delivery]) -> Sequence[Receipt]:
        """Bring each account up to date. Raises Unavailable if none could be."""
        await self._probe()
        results = await self._all(batch)
        await self._names.untangle(batch, results)
        return receipts(batch, results)

    @property
    def listed(self) -> Collection[str]:
        """All."""
        return self._attributes

    async def listing(self, entity: str) -> AsyncIterator[Sequence[Listed]]:
        """All accounts that are switched on, as far as an entity's mapping names them. Raises Unavailable."""
        attributes = self._attributes[entity]
        try:
            async for page in pages(self._wire, "Users", self.batch_records_max):
                yield [
                    Listed(
                        str(get(account, "id")),
                        {field: look(account, at or EXTERNAL_ID) for field, at in attributes.items()},
                    )
                    for account in page
                    if get(account, "active") is not False
                ]
        except Incomplete as incomplete:
            raise Unavailable(f"{self._system}: {incomplete}", runbook="scim-unavailable") from incomplete
        except (Answer, Lost) as error:
            raise self._meaning.unavailable(error) from error

    async def close(self) -> None:
        """Let go of the connections. Twice is fine."""
        await self._wire.close()

    # -- a batch ------------------------------------------------------------------------------------------

    async def _probe(self) -> None:
        if self._probed:
            return
        try:
            await self._wire.probe()
        except (Answer, Lost) as error:
            raise self._meaning.unavailable(error) from error
        self._probed = True

    async def _all(self, batch: Sequence[Delivery]) -> list[Receipt | Unavailable]:
        """Each record's receipt, or why there is none."""
        return await in_turns(self._at_once, [partial(self._one, delivery) for delivery in batch])

    def _name_of(self, delivery: Delivery) -> str:
        return "" if delivery.op is Op.DELETE else str(self._wanted(delivery).get(USER_NAME) or "")

    async def _one(self, delivery: Delivery) -> Receipt | Unavailable:
        try:
            return await self._deliver(delivery)
        except Refused as refused:
            return Receipt(delivery.key, Outcome.FAILED, str(refused), delivery.local_id)
        except Unavailable as unavailable:
            return unavailable

    # -- one account --------------------------------------------------------------------------------------

    async def _deliver(self, delivery: Delivery) -> Receipt:
        """Look, compare, write; and once more from the look if the account was not as it seemed (404, 409,
        412), or if the answer to a write was lost. Raises Refused or Unavailable.
        """
        try:
            return await self._reconcile(delivery)
        except Answer as answer:
            if answer.status not in (404, 409, 412):
                return self._no(delivery, answer)
            was_written = False
        except Lost as lost:
            if not lost.sent:
                raise self._meaning.unavailable(lost) from lost
            was_written = True
        try:
            receipt = await self._reconcile(delivery)
        except Answer as answer:
            return self._no(delivery, answer)
        except Lost as lost:
            raise self._meaning.unavailable(lost) from lost
        if was_written and receipt.outcome is Outcome.UNCHANGED:
            return receipt._replace(outcome=Outcome.DELIVERED)
        return receipt

    async def _reconcile(self, delivery: Delivery) -> Receipt:
        if delivery.op is Op.DELETE:
            return await self._remove(delivery)
        wanted = self._wanted(delivery)
        account = await self._find(delivery, str(wanted.get(USER_NAME) or ""))
        if account is None:
            account = await self._wire.create(written({}, wanted))
            return _receipt(delivery, Outcome.DELIVERED, account)
        values = differing(account, wanted)
        edited = self._edited(delivery, account, values)
        left = [place for place in values if place.field not in edited]
        receipt = await self._update(delivery, account, {place: values[place] for place in left})
        if not edited:
            return receipt
        reason = f"edited there since it was looked at, and left so: {', '.join(edited)}"
        return receipt._replace(reason=reason)

    def _edited(self, delivery: Delivery, account: Json, values: Values) -> list[str]:
        """Of what would be written the fields that have something else there than when they were last read:
        somebody edits the account now, and the next look brings it. Case is not looked at, as sources may
        not either.
        """
        edited = []
        for place in values:
            if place.field in delivery.base:
                there, base = look(account, place), value_for(place, delivery.base[place.field])
                if folded(there) != folded(base):
                    edited.append(place.field)
        return edited

    async def _remove(self, delivery: Delivery) -> Receipt:
        account = await self._find(delivery)
        if account is None:
            return Receipt(delivery.key, Outcome.UNCHANGED, "", delivery.local_id)
        if delivery.deactivate:
            return await self._update(delivery, account, differing(account, {ACTIVE: False}))
        await self._wire.delete(account)
        return _receipt(delivery, Outcome.DELIVERED, account)

    async def _update(self, delivery: Delivery, account: Json, values: Values) -> Receipt:
        if not values:
            return _receipt(delivery, Outcome.UNCHANGED, account)
        await self._wire.update(account, operations(account, values), written(account, values))
        return _receipt(delivery, Outcome.DELIVERED, account)

    def _wanted(self, delivery: Delivery) -> Values:
        attributes = self._attributes[delivery.entity]
        unmapped = delivery.fields.keys() - attributes.keys()
        if unmapped:
            raise Refused(f"no attribute is mapped for {', '.join(sorted(unmapped))}")
        wanted: dict[Attribute, str | bool | None] = {EXTERNAL_ID: delivery.id}
        for field, value in delivery.fields.items():
            place = attributes[field]
            if place is not None:
                wanted[place] = value_for(place, value)
        if ACTIVE not in wanted and not any(place == ACTIVE for place in attributes.values()):
            wanted[ACTIVE] = True
        return wanted

    async def _find(self, delivery: Delivery, user_name: str = "") -> Json | None:
        """The record's account: by the service's id if it is linked, else by ours. One that is neither is
        somebody else's, also if it has the name that is wanted.
        """
        if delivery.local_id:
            try:
                return self._ours(delivery, await self._wire.get(delivery.local_id))
            except Answer as answer:
                if answer.status != 404:
                    raise
        found = await self._wire.find(EXTERNAL_ID.name, delivery.id)
        ours = [account for account in found if look(account, EXTERNAL_ID) == delivery.id]
        if len(ours) > 1:
            raise Refused(f"externalId is ambiguous: {len(ours)} accounts have it. Merge them there")
        if found and not ours:
            raise Refused("externalId: the service answers a filter with other accounts")
        if ours or not user_name:
            return ours[0] if ours else None

        if await self._wire.find(USER_NAME.name, user_name):
            raise Refused(TAKEN)
        return None

    def _ours(self, delivery: Delivery, account: Json) -> Json:
        external_id = look(account, EXTERNAL_ID)
        if external_id and external_id != delivery.id:
            raise Refused("its account there has the externalId of another record now")
        return account

    # -- answers ------------------------------------------------------------------------------------------

    def _no(self, delivery: Delivery, answer: Answer) -> Receipt:
        """What an answer means for this record. Raises Unavailable if it is not about the record."""
        if answer.status == 412:
            reason = "412: somebody else keeps changing this account"
            return Receipt(delivery.key, Outcome.RETRYING, reason, delivery.local_id)
        if answer.status == 404:
            reason = "404: the account went while it was written"
            return Receipt(delivery.key, Outcome.RETRYING, reason, delivery.local_id)
        if answer.status in (400, 409, 413, 422):
            # The detail may hold values: only names that we know are taken from it.
            names = [field for field in delivery.fields if field.split(".")[0] in answer.detail]
            what = f"{answer.status} {_known(answer.scim_type)}".strip()
            reason = f"{what}: {', '.join(names)}" if names else what
            if answer.status == 409 and answer.scim_type in ("", "uniqueness"):
                reason = f"{reason}: {NOT_UNIQUE}"
            return Receipt(delivery.key, Outcome.FAILED, reason, delivery.local_id)
        raise self._meaning.unavailable(answer) from answer


def _known(scim_type: str) -> str:
    """A scimType is a word of RFC 7644 section 3.12; anything else could be anything."""
    return scim_type if scim_type.isalpha() and len(scim_type) <= 20 else ""


def _receipt(delivery: Delivery, outcome: Outcome, account: Json) -> Receipt:
    return Receipt(delivery.key, outcome, "", str(get(account, "id") or delivery.local_id))
