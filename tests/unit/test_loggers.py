"""The names of rmqwork's loggers are API: written out, and listed in the documentation."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import rmqwork

ROOT = Path(rmqwork.__file__).parent
PAGES = Path(__file__).parents[2] / "docs"
NAMED = re.compile(r"^\| `(rmqwork\.[a-z.]+)` \|", re.MULTILINE)


def get_logger_calls(module: Path) -> Iterator[ast.expr]:
    """The argument of each ``getLogger(…)`` of a module."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Call) and node.args:
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in ("getLogger", "getChild"):
                yield node.args[0]


def documented() -> list[str]:
    [table] = [
        text.split("| logger |", 1)[1].split("\n\n", 1)[0]
        for text in (page.read_text() for page in PAGES.rglob("*.md"))
        if "| logger |" in text
    ]
    return NAMED.findall(table)


def test_no_logger_is_named_after_its_module():
    named = [
        str(module.relative_to(ROOT))
        for module in ROOT.rglob("*.py")
        if any(
            isinstance(node, ast.Name) and node.id in ("__name__", "__package__")
            for argument in get_logger_calls(module)
            for node in ast.walk(argument)
        )
    ]

    assert named == []


def test_the_loggers_are_those_of_the_documentation():
    used = {
        argument.value
        for module in ROOT.rglob("*.py")
        for argument in get_logger_calls(module)
        if isinstance(argument, ast.Constant) and str(argument.value).startswith("rmqwork")
    }

    assert sorted(used) == sorted(documented())
