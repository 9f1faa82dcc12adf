"""Importing an app, and saying what went wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rmqwork._cli.failing import one_line
from rmqwork._tasks.loading import AppNotLoaded, load_app, split_path
from rmqwork.errors import ConfigurationError


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def test_paths() -> None:
    assert split_path("shop.app:main.app") == ("shop.app", "main.app")
    assert split_path("shop") == ("shop", "app")


def test_an_app_in_the_working_directory_is_found(project: Path) -> None:
    (project / "fine.py").write_text("from rmqwork import App\napp = App('x', include=['more'])\n")
    (project / "more.py").write_text("from fine import app\n\n@app.task\ndef f() -> None: ...\n")
    assert list(load_app("fine:app").tasks) == ["x.f"]


@pytest.mark.parametrize(
    ("code", "path", "said"),
    [
        (None, "nosuch_one:app", "there is no module 'nosuch_one'"),
        (None, "nosuch_one.deep:app", "there is no module 'nosuch_one'"),
        (None, "__main__:app", "cannot import __main__"),
        ("import nosuch_two", "mod:app", "No module named 'nosuch_two' (.*mod.py, line 1)"),
        ("1 / 0", "mod:app", "ZeroDivisionError: division by zero"),
        ("\nraise SystemExit(3)", "mod:app", "SystemExit: 3 (.*mod.py, line 2)"),
        ("\ndef (", "mod:app", "SyntaxError: .*mod.py, line 2"),
        ("x = 1", "mod:app", "has no 'app'"),
        ("app = 1", "mod:app", "is of type int, not a rmqwork.App"),
        (
            "from rmqwork import App\napp = App('x', include=['nosuch_three'])",
            "mod:app",
            "an included module of 'mod:app' cannot be imported: .*nosuch_three",
        ),
    ],
)
def test_what_is_wrong_is_said(project: Path, code: str | None, path: str, said: str) -> None:
    if code is not None:
        (project / "mod.py").write_text(code)
    with pytest.raises(AppNotLoaded, match=said.replace("(", r"\(").replace(")", r"\)")) as caught:
        load_app(path)
    assert "\n" not in str(caught.value)


def test_the_details_begin_in_the_users_code(project: Path) -> None:
    (project / "mod.py").write_text("def f():\n    return {}['x']\n\nf()\n")
    with pytest.raises(AppNotLoaded) as caught:
        load_app("mod:app")
    lines = caught.value.details.splitlines()
    assert lines[1].endswith('mod.py", line 4, in <module>')
    assert lines[-1] == "KeyError: 'x'"


@pytest.mark.parametrize("code", ["def (", "raise ExceptionGroup('g', [ValueError('x')])", "1 / 0"])
def test_one_line_is_left_of_an_error_with_its_details(project: Path, code: str) -> None:
    """As the command line shows what the template has sent."""
    (project / "mod.py").write_text(code)
    with pytest.raises(AppNotLoaded) as caught:
        load_app("mod:app")
    text = str(caught.value)
    shown = one_line(ConfigurationError(f"{text}\n{caught.value.details}"))
    assert shown == f"{text}; --debug shows the traceback"


def test_an_app_that_is_wrong_is_a_configuration_error(project: Path) -> None:
    (project / "mod.py").write_text(
        "from rmqwork import App\napp = App('x', routes={'a.*': 'nosuch'})\n"
    )
    with pytest.raises(ConfigurationError, match="nosuch"):
        load_app("mod:app")


def test_the_place_is_a_line_of_the_user(project: Path) -> None:
    """Not the line of rmqwork that raised, nor one of the import system."""
    (project / "mod.py").write_text("from rmqwork import App\n\napp = App('x', default_queue=3)\n")
    with pytest.raises(AppNotLoaded) as caught:
        load_app("mod:app")
    assert str(caught.value).endswith("mod.py, line 3)")
    assert "ConfigurationError" not in str(caught.value)

    (project / "other.py").write_text(
        "from rmqwork import App\napp = App('x', include=['nosuch'])\n"
    )
    with pytest.raises(AppNotLoaded) as caught:
        load_app("other:app")
    assert str(caught.value).endswith("No module named 'nosuch'")
