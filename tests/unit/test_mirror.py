"""tests/unit mirrors rmqwork: a module's test stands at its place, without leading underscores."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
UNTESTED = Path(__file__).with_name("untested.txt")
LONG = 40  # lines; shorter ones are mostly declarations
# Their tests stand here, too: programs of the project.
NOT_OF_THE_PACKAGE = {"tools"}


def long_modules(root: Path) -> list[str]:
    """The modules of rmqwork that are to have a test, relative to the repository."""
    found = (path for path in (root / "rmqwork").rglob("*.py") if not path.name.startswith("__"))
    return sorted(
        str(path.relative_to(root)) for path in found if len(path.read_text().splitlines()) > LONG
    )


def place_of_test(module: str) -> Path:
    """Where the test of a module stands: rmqwork/_results/sql.py -> unit/results/test_sql.py."""
    folders = [part.removeprefix("_") for part in Path(module).parts[1:-1]]
    return Path("tests/unit", *folders, f"test_{Path(module).stem.lstrip('_')}.py")


def listed(text: str) -> list[str]:
    """The paths of a list of exceptions."""
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def complaints(modules: Iterable[str], exceptions: list[str], root: Path) -> list[str]:
    """What is wrong with a list of exceptions."""
    found = []
    if exceptions != sorted(set(exceptions)):
        found.append("the list is not in order, or names a module twice")
    for module in sorted({*modules, *exceptions}):
        test = place_of_test(module)
        if not (root / module).exists():
            found.append(f"{module} is gone: take it out of the list")
        elif (root / test).exists():
            if module in exceptions:
                found.append(f"{module} has a test: take it out of the list")
        elif module not in exceptions:
            found.append(f"{module} has no test: write {test}")
    return found


def test_each_module_has_its_test_or_is_listed() -> None:
    assert complaints(long_modules(ROOT), listed(UNTESTED.read_text()), ROOT) == []


def test_each_folder_of_tests_is_one_of_the_package() -> None:
    package = ROOT / "rmqwork"
    folders = {
        tuple(part.removeprefix("_") for part in path.parent.relative_to(package).parts)
        for path in package.rglob("*.py")
    }
    here = Path(__file__).parent
    used = {path.parent.relative_to(here).parts for path in here.rglob("test_*.py")}

    assert {one for one in used if one[:1] not in {(name,) for name in NOT_OF_THE_PACKAGE}} <= (
        folders
    )


def test_what_is_wrong_is_found(tmp_path: Path) -> None:
    for name in ("_a/new.py", "_a/_b/tested.py", "_a/listed.py", "short.py"):
        module = tmp_path / "rmqwork" / name
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text("\n" * (LONG if name == "short.py" else LONG + 1))
    test = tmp_path / "tests/unit/a/b/test_tested.py"
    test.parent.mkdir(parents=True)
    test.touch()
    modules = long_modules(tmp_path)

    assert modules == ["rmqwork/_a/_b/tested.py", "rmqwork/_a/listed.py", "rmqwork/_a/new.py"]
    assert complaints(modules, ["rmqwork/_a/listed.py", "rmqwork/_a/new.py"], tmp_path) == []
    assert complaints(modules, ["rmqwork/_a/listed.py"], tmp_path) == [
        "rmqwork/_a/new.py has no test: write tests/unit/a/test_new.py"
    ]
    wrong = ["rmqwork/_a/new.py", "rmqwork/_a/listed.py", "rmqwork/gone.py"]
    wrong += ["rmqwork/_a/_b/tested.py"]
    assert complaints(modules, wrong, tmp_path) == [
        "the list is not in order, or names a module twice",
        "rmqwork/_a/_b/tested.py has a test: take it out of the list",
        "rmqwork/gone.py is gone: take it out of the list",
    ]
