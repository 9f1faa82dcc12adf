"""What the README and the docs show is true: their Python blocks run, their links lead somewhere.

The blocks of one page run in order in one module, with a broker that takes everything. A block
that starts with "# shop.py" is the module of that name from then on.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import sys
import types
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import fields
from pathlib import Path

import pytest

import rmqwork.testing
from rmqwork import App
from rmqwork._config.settings import Settings
from rmqwork.errors import PublishError
from rmqwork.types import Publication

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OWN_TEST = {"testing.md"}  # its blocks are a test suite: tests/unit/testing/test_docs_page.py
ONLY_LINKS = [
    ROOT / "CONTRIBUTING.md",
    ROOT / "examples" / "README.md",
    *sorted((ROOT / "examples").glob("*/README.md")),
]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")
NAMED = re.compile(r"# (\w+)\.py\n")


def named(page: Path) -> str:
    """The id of the tests of a page: its path in the repository."""
    return str(page.relative_to(ROOT))


class TakesAll:
    """A publisher that confirms at once, and remembers."""

    def __init__(self) -> None:
        self.taken: list[Publication] = []

    def submit(
        self, publications: Sequence[Publication], timeout: float
    ) -> Future[list[PublishError | None]]:
        self.taken += publications
        future: Future[list[PublishError | None]] = Future()
        future.set_result([None] * len(publications))
        return future

    def close(self, timeout: float) -> int:
        return 0


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[Publication]:
    """What was published, by whichever app."""
    port = TakesAll()
    monkeypatch.setattr(App, "_make_publisher", lambda app: port)
    return port.taken


@pytest.fixture
def modules() -> Iterator[None]:
    """Forget the modules that a page has made."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if not name.startswith(("rmqwork", "pydantic", "tenacity", "fast_depends")):
            del sys.modules[name]


def blocks(page: Path) -> list[tuple[int, str]]:
    """The Python blocks of a page, each with the number of its first line."""
    text = page.read_text()
    return [(text.count("\n", 0, at.start(1)), at[1]) for at in BLOCK.finditer(text)]


def run(source: str, where: str, line: int, module: types.ModuleType) -> None:
    """Run one block; ``await`` may stand in it."""
    code = compile(
        "\n" * line + source, where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
    )
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(code, module.__dict__))
    else:
        exec(code, module.__dict__)


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in OWN_TEST], ids=named)
def test_python_blocks_run(page: Path, taken: list[Publication]) -> None:
    module = types.ModuleType(f"docs_{page.stem}")
    for line, source in blocks(page):
        if named := NAMED.match(source):
            module = types.ModuleType(named[1])
        sys.modules[module.__name__] = module
        run(source, str(page), line, module)

    if ".delay(" in page.read_text() and blocks(page):
        assert taken, "nothing of what the page publishes was published"


@pytest.mark.parametrize("page", [*PAGES, *ONLY_LINKS], ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    links = LINK.findall(page.read_text())

    missing = [link for link in links if not (page.parent / link).exists()]

    assert missing == []


def test_the_readme_has_every_setting_with_its_default() -> None:
    rows = dict(
        re.findall(r"^\| `(\w+)` \|([^|]*)\|", ROOT.joinpath("README.md").read_text(), re.M)
    )
    for setting in fields(Settings):
        said = rows.pop(setting.name, None)
        assert said is not None, f"README.md does not name the setting {setting.name}"
        default = setting.default[0] if isinstance(setting.default, tuple) else setting.default
        if isinstance(default, float):
            default = f"{default:g} s"
        if default is not None:
            assert said.replace(" bytes", "").strip(" `") == str(default)
    assert rows == {}, "README.md names settings that do not exist"


def test_the_architecture_names_no_module_that_is_gone() -> None:
    page = ROOT.joinpath("docs", "explanation", "architecture.md").read_text()
    there = {path.name for path in ROOT.joinpath("rmqwork").rglob("*.py")}

    assert set(re.findall(r"`(\w+\.py)`", page)) - there == set()


def test_the_reference_has_every_public_name_once() -> None:
    pages = "".join(page.read_text() for page in ROOT.joinpath("docs/reference/api").glob("*.md"))
    named = re.findall(r"^\.\. auto(?:class|exception|function):: (\S+)", pages, re.M)
    modules = re.findall(r"^\.\. automodule:: (\S+)", pages, re.M)

    public = {f"rmqwork.{name}" for name in rmqwork.__all__ if name != "__version__"}
    public |= {f"rmqwork.testing.{name}" for name in rmqwork.testing.__all__}

    assert sorted(named) == sorted(public)
    assert sorted(modules) == sorted(
        f"rmqwork.{path.stem}"
        for path in ROOT.joinpath("rmqwork").iterdir()
        if not path.name.startswith("_")
        and (path.suffix == ".py" or path.joinpath("__init__.py").exists())
    )


def test_every_page_is_reachable() -> None:
    """Sphinx warns, too; this finds it without a build."""
    tree = re.compile(r"^```{toctree}\n(?::.*\n)*\n(.*?)^```", re.M | re.S)
    reached, waiting = set(), [ROOT / "docs" / "index.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        for entries in tree.findall(page.read_text()):
            waiting += [page.parent / f"{entry}.md" for entry in entries.split()]

    assert reached == set(ROOT.joinpath("docs").rglob("*.md"))
