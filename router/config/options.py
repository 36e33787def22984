"""Where the configuration and the state stand: options of the commands, and where we look without them."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from bus.errors import ConfigError

C = TypeVar("C", bound=Callable[..., Any])

CONFIG_VARIABLE: Final = "YELLOWBUS_CONFIG"
STATE_VARIABLES: Final = ("YELLOWBUS_STATE", "STATE_DIRECTORY")
"""The second one is systemd's."""
_FOLDERS: Final = (Path("/etc/yellowbus"), Path("integrations"))


def find_folder(option: Path | None, environ: Mapping[str, str] = os.environ) -> Path:
    """--config, $YELLOWBUS_CONFIG, /etc/yellowbus, ./integrations: the first that is given or there.

    Raises ConfigError.
    """
    if given := option or (environ.get(CONFIG_VARIABLE) and Path(environ[CONFIG_VARIABLE])):
        return given
    for folder in _FOLDERS:
        if folder.is_dir():
            return folder
    places = " and ".join(str(folder) for folder in _FOLDERS)
    raise ConfigError(f"no configuration: {places} are not there. Say where: --config FOLDER")


def find_state(option: Path | None, environ: Mapping[str, str] = os.environ) -> Path:
    """--state, $YELLOWBUS_STATE, $STATE_DIRECTORY, ./state: the first that is given. It need not exist."""
    given = [environ.get(name, "").partition(":")[0] for name in STATE_VARIABLES]
    return option or next((Path(folder) for folder in given if folder), Path("state"))


def config_option(command: C) -> C:
    """`--config`: the command gets `config`, a Path."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path, file_okay=False),
        callback=lambda context, parameter, value: find_folder(value),
        help="Configuration folder [$YELLOWBUS_CONFIG, /etc/yellowbus, ./integrations].",
    )(command)


def state_option(command: C) -> C:
    """`--state`: the command gets `state`, a Path."""
    return click.option(
        "--state",
        type=click.Path(path_type=Path, file_okay=False),
        callback=lambda context, parameter, value: find_state(value),
        help="State folder [$YELLOWBUS_STATE, $STATE_DIRECTORY, ./state].",
    )(command)
