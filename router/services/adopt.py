"""`adopt`: the first contact with a system, and a person's word that it may go live."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from bus import subjects
from bus.codec import encode_state
from bus.errors import BusError
from bus.messages import AuditRecord, Outcome, Step
from bus.port import Message
from bus.services import Command
from router.contact import BEGIN, Contact
from router.core.authority import owners_at
from router.core.contact import Summary
from router.core.rules import DestinationRule, FieldRule
from router.modes import LIVE, OBSERVE, position_of
from router.outbox import audit_messages
from router.pipeline import Pipeline
from router.services.acts import why_of
from router.services.asking import asked, reply


def commands(pipeline: Pipeline, now_ms: Callable[[], int]) -> list[Command]:
    """What answers `adopt.report`, `adopt.lines` and `adopt.approve`."""

    async def reported(operator: str, request: bytes) -> bytes:
        system = _system(pipeline, asked(request))
        contact = Contact(pipeline, system, now_ms())
        return reply(
            {
                "system": system,
                "mode": pipeline.workers[system].mode,
                "unread": contact.unread,
                "not_ready": await contact.not_ready(),
                **_report(pipeline, await contact.summary(), now_ms()),
            }
        )

    async def listed(operator: str, request: bytes) -> bytes:
        says = asked(request)
        page = Contact(pipeline, _system(pipeline, says), now_ms()).page(str(says.get("at", BEGIN)))
        return reply({"lines": [line._asdict() for line in page.lines], "next": page.next})

    async def approved(operator: str, request: bytes) -> bytes:
        says = asked(request)
        system, why = _system(pipeline, says), why_of(says)
        if (mode := pipeline.workers[system].mode) != OBSERVE:
            raise BusError(f"{system}: its mode is {mode} already. Nothing was done")
        contact = Contact(pipeline, system, now_ms())
        if not_ready := await contact.not_ready():
            raise BusError(f"{system}: nothing to approve yet: {not_ready}")
        now = await contact.summary()
        if says.get("hash") != now.hash:
            raise BusError(
                f"{system}: the report has changed since. Nothing was done."
                f" Look again: yellowbus adopt {system}"
            )
        await _go_live(pipeline, system, now.hash, operator, why, now_ms())
        return reply({"system": system, "mode": LIVE, "hash": now.hash})

    return [
        Command(what="adopt.report", answer=reported, description="A system's first contact, counted"),
        Command(what="adopt.lines", answer=listed, description="The same record by record, page by page"),
        Command(what="adopt.approve", answer=approved, description="A person lets it go live, with why"),
    ]


def _system(pipeline: Pipeline, says: Mapping[str, Any]) -> str:
    system = str(says.get("system", ""))
    if system not in pipeline.workers:
        known = ", ".join(pipeline.workers) or "none"
        raise BusError(f"adopt: {system!r} is no destination here (expected one of: {known})")
    return system


def _rule(pipeline: Pipeline, system: str) -> DestinationRule:
    rule = pipeline.district.systems[system].destination
    assert rule is not None  # it has a worker
    return rule


def _report(pipeline: Pipeline, summary: Summary, at_ms: int) -> Mapping[str, Any]:
    rules = pipeline.district.entities
    entities = summary.as_entries()
    owners = {
        entity: {name: _owners(rules[entity].fields[name], at_ms) for name in entry["fields"]}
        for entity, entry in entities.items()
    }
    return {
        "hash": summary.hash,
        "at_ms": at_ms,
        "timezone": pipeline.district.timezone,
        "entities": entities,
        "owners": owners,
    }


def _owners(rule: FieldRule, at_ms: int) -> list[str]:
    """Who decides a field now, the highest first; who does so only in a record's term, with that."""
    terms = {period.during: ((at_ms, at_ms + 1),) for period in rule.owners if period.during}
    before = [
        f"{system} during {period.during}"
        for period in rule.owners
        for system in period.systems
        if period.during and system in owners_at(rule, at_ms, {period.during: terms[period.during]})
    ]
    return [*before, *owners_at(rule, at_ms)]


async def _go_live(pipeline: Pipeline, system: str, hash_: str, operator: str, why: str, at_ms: int) -> None:
    """One commit: it is live, all that was only observed is on its work list, and both are told."""
    store, entities = pipeline.store, json.dumps(sorted(_rule(pipeline, system).entities))
    subject = subjects.state("live", system, "-", pipeline.tokens(system))
    fact = {"system": system, "report": hash_, "who": operator, "why": why, "at_ms": at_ms}
    id_ = f"live/{system}/{hash_}"
    audited = AuditRecord(
        id_,
        Step.OPERATOR,
        Outcome.ACCEPTED,
        at_ms,
        destination=system,
        reason=f"goes live, report {hash_}: {why}",
        who=operator,
    )
    letters = pipeline.outbox.put([Message(subject, encode_state(fact), id_), *audit_messages([audited])])
    await store.commit(
        [
            store.write("save_positions", [(position_of(system), at_ms)]),
            store.write("put_all", [(system, at_ms, f"live.{hash_}", entities)]),
            *letters.writes,
        ]
    )
    letters.send()
    pipeline.workers[system].wake()
