"""What the folders promise: who may import whom, what is pure, what is tested, what has a runbook."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from router.alerts import KINDS

REPOSITORY = Path(__file__).parents[1]
OURS = ("bus", "router", "adapters", "console")
LINES_MAX = 400

MAY_IMPORT = {
    "bus": ("bus",),
    "router/core": ("bus", "router.core"),
    "router": ("bus", "router", "adapters"),
    "adapters": ("bus", "adapters"),
    "console": ("bus", "console"),
}
"""The most specific folder counts. One way: bus <- router/core <- router, bus <- adapters, bus <- console."""

SHARED_BY_ADAPTERS = ("adapters.files", "adapters.web")
"""What several adapters have in common; it knows none of them."""

IMPURE = {"asyncio", "logging", "os", "pathlib", "random", "socket", "time", "uuid", "sqlite3", "subprocess"}
CLOCKS = {"now", "utcnow", "today"}

THROUGH_THE_DOOR = {
    "adapters/contract": "held against adapters that do one thing wrong",
    "adapters/delimited": "read and written as files: one fault, one test",
    "adapters/files": "watched and written as folders, here and by the adapters that share it",
    "adapters/http": "asked of a real server",
    "adapters/oneroster_csv": "read and written as packages: one fault, one test",
    "adapters/scim": "asked of a real server",
    "adapters/sql": "asked of a real database",
    "adapters/webhook": "posted to as senders do",
    "console/lms": "told and asked as a process of its own",
    "router/config": "read as folders: one mistake, one test",
}
"""Folders whose modules are tested together, by what goes in and comes out of the folder."""

COVERED = {
    "bus/adapter.py": "conformance/test_destinations.py",
    "bus/bodies.py": "bus/test_codec.py",
    "bus/errors.py": "bus/test_services.py",
    "bus/messages.py": "bus/test_codec.py",
    "bus/port.py": "bus/test_jetstream.py",
    "bus/read.py": "bus/test_jetstream.py",
    "bus/wire.py": "bus/test_connection.py",
    "router/core/shapes.py": "router/core/test_mapping.py",
    "router/core/rules.py": "router/config/test_compiled_rules.py",
    "router/commands/rebuild.py": "router/test_rebuild.py",
    "router/gathering.py": "router/test_intake.py",
    "console/cli/pause.py": "live/test_pause.py",
    "router/services/failed.py": "live/test_dead_letters.py",
    "console/cli/failed.py": "live/test_dead_letters.py",
    "router/delivery/awaited.py": "router/delivery/test_order.py",
    "router/restored.py": "router/test_rebuild.py",
    "router/services/pauses.py": "live/test_pause.py",
    "router/delivery/marker.py": "router/test_delivery.py",
    "router/delivery/planning.py": "router/test_delivery.py",
    "router/delivery/alarms.py": "router/test_delivery_alerts.py",
    "router/delivery/sending.py": "router/test_delivery_faults.py",
    "router/delivery/worker.py": "router/test_delivery.py",
    "router/daemon.py": "live/test_router_process.py",
    "router/pipeline.py": "live/test_router_process.py",
    "router/core/saying.py": "router/core/test_fields.py",
    "router/decided.py": "router/test_two_way.py",
    "router/deciding.py": "router/test_two_way.py",
    "router/finding.py": "router/test_two_way.py",
    "router/modes.py": "live/test_first_contact.py",
    "router/services/adopt.py": "live/test_first_contact.py",
    "router/services/shares.py": "live/test_first_contact.py",
    "console/cli/adopt.py": "live/test_first_contact.py",
    "console/cli/shares.py": "live/test_first_contact.py",
    "console/cli/spreadsheet.py": "live/test_first_contact.py",
    "router/timekeeper.py": "router/test_two_way.py",
    "router/core/accepted.py": "router/core/test_fields.py",
    "router/core/spelling.py": "router/config/test_compiled_rules.py",
    "router/watch.py": "router/test_takeup.py",
    "router/core/rekey.py": "router/test_rekey.py",
    "router/sources/rekeying.py": "router/test_rekey.py",
    "router/referring.py": "router/test_joining.py",
    "router/services/records.py": "live/test_two_records_are_one.py",
    "console/cli/records.py": "live/test_two_records_are_one.py",
    "router/services/audit.py": "router/test_two_paths.py",
    "console/cli/audit.py": "live/test_two_paths_live.py",
    "router/services/acts.py": "live/test_decisions.py",
    "router/services/conflicts.py": "live/test_decisions.py",
    "router/world.py": "live/test_router_process.py",
    "router/gaps.py": "router/test_rebuild.py",
    "router/services/replay.py": "live/test_replay.py",
    "console/cli/replay.py": "live/test_replay.py",
    "console/cli/compare.py": "live/test_compare.py",
    "router/replay/comparing.py": "live/test_compare.py",
    "console/cli/backfill.py": "live/test_replay.py",
    "router/replay/marks.py": "router/replay/test_newcomers.py",
    "router/services/unmatched.py": "live/test_decisions.py",
    "router/services/plan.py": "live/test_holds_by_hand.py",
    "router/trial.py": "live/test_holds_by_hand.py",
    "router/sources/concluding.py": "router/test_concluded.py",
    "router/sources/dependencies.py": "router/test_held_plans.py",
    "router/sources/holds.py": "router/test_held_plans.py",
    "router/sources/judging.py": "router/test_held_plans.py",
    "router/sources/planning.py": "router/test_sources.py",
    "router/sources/targets.py": "router/test_sources.py",
    "router/sources/publishing.py": "router/sources/test_runner.py",
    "console/cli/conflicts.py": "live/test_decisions.py",
    "console/cli/unmatched.py": "live/test_decisions.py",
    "console/cli/holds.py": "live/test_holds_by_hand.py",
    "console/cli/plan.py": "live/test_holds_by_hand.py",
    "router/services/asking.py": "live/test_router_process.py",
    "router/services/status.py": "live/test_router_process.py",
    "console/cli/accounts.py": "test_demo.py",
    "console/cli/demo.py": "test_demo.py",
    "console/cli/flow.py": "test_demo.py",
    "console/cli/ground.py": "test_demo.py",
    "console/cli/processes.py": "test_demo.py",
    "console/cli/screen.py": "console/cli/test_status_and_reads.py",
}
"""Modules without a test file of their own name, and the one that covers them: values, contracts, and what
only shows in a process of its own."""


def modules() -> list[Path]:
    return [path for folder in OURS for path in sorted((REPOSITORY / folder).rglob("*.py"))]


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), name_of(path))


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, in full."""
    package = [*path.relative_to(REPOSITORY).parent.parts]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            yield ".".join([*base, *([node.module] if node.module else [])])


def rule_for(path: Path) -> tuple[str, ...]:
    folder = max((each for each in MAY_IMPORT if name_of(path).startswith(f"{each}/")), key=len)
    return MAY_IMPORT[folder]


def within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def test_every_folder_has_files() -> None:
    for folder in (*MAY_IMPORT, "tests", "integrations", "runbooks"):
        assert any((REPOSITORY / folder).iterdir()), folder
    assert len(modules()) > 60


def test_imports_go_one_way() -> None:
    wrong = [
        f"{name_of(path)} imports {module}"
        for path in modules()
        for module in imports(path)
        if within(module, OURS) and not within(module, rule_for(path))
    ]

    assert wrong == []


def test_the_router_knows_adapters_only_by_their_registry() -> None:
    """And the kit that holds all of them to their contract."""
    wrong = [
        f"{name_of(path)} imports {module}"
        for path in modules()
        if name_of(path).startswith("router/")
        for module in imports(path)
        if module.startswith("adapters.") and not within(module, ("adapters.contract",))
    ]

    assert wrong == []


def test_no_adapter_knows_another() -> None:
    wrong = [
        f"{name_of(path)} imports {module}"
        for path in modules()
        if name_of(path).startswith("adapters/") and path.parent.name != "adapters"
        for module in imports(path)
        if module.startswith("adapters.")
        and not within(module, (f"adapters.{path.parent.name}", *SHARED_BY_ADAPTERS))
    ]

    assert wrong == []


def test_the_core_is_pure() -> None:
    for path in (REPOSITORY / "router" / "core").glob("*.py"):
        roots = {module.partition(".")[0] for module in imports(path)}
        assert not roots & IMPURE, name_of(path)
        asked = {node.attr for node in ast.walk(tree_of(path)) if isinstance(node, ast.Attribute)}
        assert not asked & CLOCKS, name_of(path)
        called = {node.func.id for node in ast.walk(tree_of(path)) if _calls_a_name(node)}
        assert not called & {"open", "print", "input"}, name_of(path)


def _calls_a_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


def test_console_speaks_to_the_bus_in_one_file() -> None:
    """Errors are a language, not a door."""
    wrong = [
        f"{name_of(path)} imports {module}"
        for path in modules()
        if name_of(path).startswith("console/") and path.name != "client.py"
        for module in imports(path)
        if within(module, ("bus", "nats")) and module != "bus.errors"
    ]

    assert wrong == []


def test_every_module_has_a_test_file() -> None:
    """One in the same place that has its name in its own; else `COVERED` says which one."""
    there = [path for path in (REPOSITORY / "tests").rglob("test_*.py")]
    missing, needless = [], []
    for path in modules():
        name = name_of(path)
        if path.name in ("__init__.py", "__main__.py") or Path(name).parent.as_posix() in THROUGH_THE_DOOR:
            continue
        folder = REPOSITORY / "tests" / Path(name).parent
        own = any(path.stem in test.stem and test.parent == folder for test in there)
        if not own and name not in COVERED:
            missing.append(name)
        if own and name in COVERED:
            needless.append(name)

    for door in THROUGH_THE_DOOR:
        assert any(test.is_relative_to(REPOSITORY / "tests" / door) for test in there), door
    assert missing == []
    assert needless == []
    assert [test for test in COVERED.values() if not (REPOSITORY / "tests" / test).exists()] == []
    assert [name for name in COVERED if not (REPOSITORY / name).exists()] == []


def runbook_names() -> Iterator[tuple[str, str]]:
    """Every `runbook="..."` of the code, also as a default: (name, where)."""
    for path in modules():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.keyword) and node.arg == "runbook":
                found = [each for each in ast.walk(node.value) if isinstance(each, ast.Constant)]
            elif isinstance(node, ast.arguments):
                pairs = zip(node.kwonlyargs, node.kw_defaults, strict=True)
                found = [
                    default
                    for argument, default in pairs
                    if argument.arg == "runbook" and isinstance(default, ast.Constant)
                ]
            else:
                continue
            yield from (
                (str(each.value), f"{name_of(path)}:{each.lineno}")
                for each in found
                if isinstance(each.value, str) and each.value
            )


def test_every_reason_has_its_runbook() -> None:
    wanted = {name: where for name, where in runbook_names()} | dict.fromkeys(KINDS, "router/alerts.py")
    missing = [
        f"runbooks/{name}.md ({where})"
        for name, where in sorted(wanted.items())
        if not (REPOSITORY / "runbooks" / f"{name}.md").exists()
    ]

    assert len(wanted) > 10
    assert missing == []


@pytest.mark.parametrize("folder", [*OURS, "tests", "benchmarks"])
def test_no_file_is_longer_than_one_can_read(folder: str) -> None:
    lines = {
        name_of(path): len(path.read_text().splitlines()) for path in (REPOSITORY / folder).rglob("*.py")
    }

    assert {name: count for name, count in lines.items() if count > LINES_MAX} == {}
