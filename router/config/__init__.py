"""The configuration: read, validated, compiled once. Nothing starts on what `yellowbus check` refuses.

positions    YAML with the line and column of everything       settings     ${file:...} and ${env:...}
documents    what each kind of file may say                    validation   a document against that
folder       all files of a folder                             expressions  CEL, compiled
salvage      what a file with mistakes says all the same
entities     entity files to EntityRules                       systems      system files to SystemRules
terms        mapped fields                                     order        targets first, no circles
compile      all of it to one District                         check        every mistake at once
schema       JSON Schema for editors                           options      --config and --state
"""

from pathlib import Path

from bus.errors import ConfigError
from router.config.check import check_folder
from router.config.options import config_option, find_folder, state_option
from router.config.positions import Problem
from router.core.rules import District

__all__ = ["ConfigErrors", "check_folder", "config_option", "find_folder", "load", "state_option"]


class ConfigErrors(ConfigError):
    """All that is wrong with a configuration, one problem per line."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems), runbook="bad-configuration")
        self.problems = problems


def load(folder: Path, state: Path) -> District:
    """The configuration of this folder, compiled. Makes the district's key in `state` on first start.

    Raises ConfigErrors.
    """
    district, problems = check_folder(folder, state, make_key=True)
    if district is None:
        raise ConfigErrors(problems)
    return district
