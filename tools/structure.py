"""Print the structure of rmqwork: its packages, and the imports that break the layout.

    python -m tools.structure

Every import counts: at load time, inside functions and under ``TYPE_CHECKING``. The layers are
those of the import contract in pyproject.toml. Exit code 1 if a figure is over its limit.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import grimp

ROOT: Final = Path(__file__).parent.parent
PACKAGE: Final = "rmqwork"
MAX_PACKAGES: Final = 20
MAX_FILES: Final = 9

Graph = Mapping[str, set[str]]
"""Modules, and those that each of them imports."""


def main() -> int:
    """Print the figures; return the exit code."""
    contract = floors()
    graph = imports(excluded=contract["ignore_imports"])
    folder = ROOT / PACKAGE
    packages = sorted(path.parent.name for path in folder.glob("*/__init__.py"))
    files = sorted(path.name for path in folder.glob("*.py"))
    upward = list(upward_imports(graph, contract["layers"]))
    found = circles(graph)
    for line in (
        f"packages {len(packages)} (at most {MAX_PACKAGES}): {' '.join(packages)}",
        f"files {len(files)} (at most {MAX_FILES}): {' '.join(files)}",
        f"modules {len(graph)}, imports {sum(map(len, graph.values()))}",
        f"upward arrows {len(upward)}",
        *(f"  {importer} -> {imported}" for importer, imported in upward),
        f"circles {len(found)} (imports left out by name: {', '.join(contract['ignore_imports'])})",
        *(f"  {' '.join(circle)}" for circle in found),
    ):
        print(line)
    return int(len(packages) > MAX_PACKAGES or len(files) > MAX_FILES or bool(upward or found))


def floors() -> dict[str, Any]:
    """Return the contract of the layers from pyproject.toml."""
    settings = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    return next(contract for contract in contracts if contract["name"] == "floors")


def imports(excluded: Sequence[str]) -> Graph:
    """Return the imports among the modules of the package.

    Args:
        excluded: ``importer -> imported`` texts of the contract; each is left out.
    """
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=False, cache_dir=None)
    left_out = {tuple(text.split(" -> ")) for text in excluded}
    return {
        module: {
            imported
            for imported in graph.find_modules_directly_imported_by(module)
            if (module, imported) not in left_out
        }
        for module in sorted(graph.modules)
    }


def upward_imports(graph: Graph, layers: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each import from a layer to a higher one, or to a sibling in the same layer."""
    floor = {
        name.strip(" ()"): len(layers) - number
        for number, layer in enumerate(layers)
        for name in layer.split("|")
    }
    for importer, those in graph.items():
        for imported in sorted(those):
            here, there = _room(importer), _room(imported)
            if here in floor and there in floor and here != there and floor[there] >= floor[here]:
                yield importer, imported


def _room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def circles(graph: Graph) -> list[list[str]]:
    """Return the groups of modules that import each other in a circle, the largest first.

    Tarjan's strongly connected components, of more than one module.
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for imported in graph.get(module, ()):
            if imported not in index:
                visit(imported)
                low[module] = min(low[module], low[imported])
            elif imported in stack:
                low[module] = min(low[module], index[imported])
        if low[module] == index[module]:
            group = stack[stack.index(module) :]
            del stack[-len(group) :]
            if len(group) > 1:
                found.append(sorted(group))

    sys.setrecursionlimit(10_000)
    for module in graph:
        if module not in index:
            visit(module)
    return sorted(found, key=len, reverse=True)


if __name__ == "__main__":
    sys.exit(main())
