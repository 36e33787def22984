"""The district's key: a secret of its own, made on first start if no other is configured."""

import os
from pathlib import Path
from typing import Final

from bus.errors import ConfigError

GENERATED: Final = "generated"
BYTES_MIN: Final = 16
_FILE: Final = "district.key"
_BYTES: Final = 32


def generated_key(state: Path, *, make: bool) -> bytes:
    """The key of the state folder. Without one: make it (mode 0600), or if not `make`, stand in for it.

    Raises ConfigError.
    """
    path = state / _FILE
    try:
        return _read(path)
    except FileNotFoundError:
        if not make:
            return bytes(_BYTES)
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _create(path)
    except OSError as error:
        raise ConfigError(f"{path}: the district's key cannot be written: {error.strerror}") from None


def _read(path: Path) -> bytes:
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"{path}: the district's key cannot be read: {error.strerror}") from None
    if len(key) < BYTES_MIN:
        raise ConfigError(f"{path}: {len(key)} bytes (expected {_BYTES}). Restore it from the backup")
    return key


def _create(path: Path) -> bytes:
    """Complete or not there: another process may start at the same time, and the first one's key counts."""
    part = path.with_name(f"{_FILE}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123
        file.write(os.urandom(_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(part, path)
    except FileExistsError:
        pass
    finally:
        part.unlink()
    return path.read_bytes()
