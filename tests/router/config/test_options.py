"""Where we look for the configuration and the state, and in which order."""

from pathlib import Path

import pytest

from bus.errors import ConfigError
from router.config.options import find_folder, find_state


def test_what_is_given_comes_before_the_environment(tmp_path: Path) -> None:
    environ = {"YELLOWBUS_CONFIG": "/from/environment", "YELLOWBUS_STATE": "/state/from/environment"}

    assert find_folder(tmp_path, environ) == tmp_path
    assert find_state(tmp_path, environ) == tmp_path


def test_the_environment_comes_before_the_usual_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "integrations").mkdir()

    assert find_folder(None, {"YELLOWBUS_CONFIG": "/c"}) == Path("/c")
    assert find_state(None, {"YELLOWBUS_STATE": "/s", "STATE_DIRECTORY": "/d"}) == Path("/s")
    assert find_state(None, {"STATE_DIRECTORY": "/d:/e"}) == Path("/d")


def test_without_either_the_usual_places_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "integrations").mkdir()

    assert find_folder(None, {}) in (Path("/etc/yellowbus"), Path("integrations"))
    assert find_state(None, {}) == Path("state")


@pytest.mark.skipif(Path("/etc/yellowbus").is_dir(), reason="this machine has /etc/yellowbus")
def test_no_configuration_anywhere_says_where_to_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigError, match="--config FOLDER"):
        find_folder(None, {})
