"""A configuration folder to the District that every step decides by."""

import hashlib
import json
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from bus.errors import ConfigError
from router.config.both_ways import with_systems
from router.config.district_key import BYTES_MIN, GENERATED, generated_key
from router.config.documents import DistrictFile
from router.config.entities import compile_entities, entity_names
from router.config.folder import DISTRICT, Folder, Written
from router.config.guards import compile_guards, wrong_guards
from router.config.positions import Problem
from router.config.systems import compile_systems, system_names
from router.config.validation import did_you_mean
from router.core.rules import District, EntityRule, SystemRule


def compile_folder(folder: Folder, state: Path, *, make_key: bool) -> tuple[District | None, list[Problem]]:
    """The District, or everything that is wrong with it, by file and line. `make_key`: if there is none."""
    names = entity_names(folder)
    entities, wrong_entities = compile_entities(folder, system_names(folder), _zone(folder))
    systems, wrong_systems = compile_systems(folder, entities, names)
    district = folder.district
    wrong_zone = _wrong_zone(district, district.says) if district.says else []
    wrong_guard = list(wrong_guards(district.document, district.says.guards)) if district.says else []
    # One thing is said of a place: what a file says there is no news once it is known not to be sound.
    told = {problem[:3] for problem in folder.problems}
    found = [*wrong_entities, *wrong_systems, *wrong_zone, *wrong_guard, *_nothing(folder)]
    problems = folder.problems + [problem for problem in found if problem[:3] not in told]
    if problems or not district.says:
        return None, sorted(set(problems))
    key, wrong_key = _key(district, district.says, state, make=make_key)
    if wrong_key:
        return None, wrong_key
    files = [one.says for one in folder.systems if one.says]
    entities = {name: with_systems(rule, systems, files) for name, rule in entities.items()}
    return _district(folder, district.says, key, entities, systems), []


def _nothing(folder: Folder) -> list[Problem]:
    """What a folder needs at least; a file that cannot be read is reported as that."""
    if folder.problems:
        return []
    wanted = ((folder.entities, "entities/*.yaml"), (folder.systems, "file for a system"))
    file = f"{folder.name}/{DISTRICT}"
    return [Problem(file, 1, 1, f"there is no {what} beside it") for found, what in wanted if not found]


def _zone(folder: Folder) -> tzinfo:
    """The district's time zone; UTC while what it says is none: that is told by itself."""
    try:
        return ZoneInfo(folder.district.says.timezone) if folder.district.says else UTC
    except (OSError, ValueError, LookupError):
        return UTC


def _wrong_zone(district: Written[DistrictFile], says: DistrictFile) -> list[Problem]:
    try:
        ZoneInfo(says.timezone)
    except (OSError, ValueError, LookupError):
        near = did_you_mean(says.timezone, available_timezones())
        hint = near if near.startswith("Did") else "Expected an IANA name, as in America/Chicago."
        return [district.document.problem(("timezone",), f'"{says.timezone}" is no time zone. {hint}')]
    return []


def _key(
    district: Written[DistrictFile], says: DistrictFile, state: Path, *, make: bool
) -> tuple[bytes, list[Problem]]:
    if says.key != GENERATED:
        key = says.key.encode()
        short = f'"key": {len(key)} bytes (expected at least {BYTES_MIN}, of random)'
        return key, [] if len(key) >= BYTES_MIN else [district.document.problem(("key",), short)]
    try:
        return generated_key(state, make=make), []
    except ConfigError as error:
        return b"", [district.document.problem(("key",), error.message)]


def _district(
    folder: Folder,
    says: DistrictFile,
    key: bytes,
    entities: dict[str, EntityRule],
    systems: dict[str, SystemRule],
) -> District:
    return District(
        name=says.name,
        timezone=says.timezone,
        key=key,
        nats_url=says.nats.url,
        nats_credentials=says.nats.credentials,
        replicas=says.nats.replicas,
        guards=compile_guards(says.guards, ZoneInfo(says.timezone)),
        entities=entities,
        systems=systems,
        digest=_digest(folder, key),
    )


def _digest(folder: Folder, key: bytes) -> str:
    """Of everything as read, secrets included, so keyed: it goes into logs and tells nothing."""
    written: list[Written[Any]] = [folder.district, *folder.entities, *folder.systems]
    said = json.dumps([(one.document.file, one.document.data) for one in written], sort_keys=True)
    return hashlib.blake2b(said.encode(), key=key[: hashlib.blake2b.MAX_KEY_SIZE], digest_size=16).hexdigest()
