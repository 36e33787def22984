"""What stands in the state folder is about children: only we may read it."""

import stat
from pathlib import Path

from running import lay_out, router_here, sampled, through

from router.privacy import keep_private


def open_to_others(folder: Path) -> list[str]:
    """What others may read or enter, but for what is a system's own."""
    return [
        f"{path.relative_to(folder)} {stat.S_IMODE(path.stat().st_mode):o}"
        for path in (folder, *sorted(folder.rglob("*")))
        if path.stat().st_mode & 0o077 and not f"{path.relative_to(folder)}".startswith(OF_SYSTEMS)
    ]


OF_SYSTEMS = ("sis", "assessment", "warehouse.db")


async def test_nobody_else_reads_the_state_folder_whoever_made_it(tmp_path: Path) -> None:
    place = lay_out(tmp_path)
    place.state.chmod(0o755)
    (place.state / "sources").mkdir(mode=0o755)
    (place.state / "sources" / "sis.sqlite").touch(0o644)

    async with router_here(place):
        await through(place, sampled(tmp_path, students=12))
        while_it_runs = open_to_others(place.state)

    assert while_it_runs == open_to_others(place.state) == []
    assert stat.S_IMODE((place.state / "index.sqlite").stat().st_mode) == 0o600
    assert len(list((place.state / "adapters").rglob("*"))) > 2


def test_a_link_is_not_followed_and_what_systems_exchange_keeps_its_mode(tmp_path: Path) -> None:
    state, elsewhere = tmp_path / "state", tmp_path / "elsewhere"
    for folder in (state / "sources", state / "sis", elsewhere):
        folder.mkdir(parents=True, mode=0o755)
    for file in (state / "sis" / "export.zip", elsewhere / "file"):
        file.touch(0o644)
    (state / "sources" / "link").symlink_to(elsewhere / "file")

    left = keep_private(state)

    assert left == []
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE((state / "sis" / "export.zip").stat().st_mode) == 0o644
    assert stat.S_IMODE((elsewhere / "file").stat().st_mode) == 0o644
