"""Which app a verb is about."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from rmqwork._cli.applications import app_path
from rmqwork.errors import ConfigurationError


def _write(file: Path, app: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'[project]\nname = "x"\n\n[tool.rmqwork]\napp = "{app}"\n')


def test_the_argument_wins(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMQWORK_APP", "from_env:app")
    _write(project / "pyproject.toml", "from_file:app")
    assert app_path("given.here:app") == "given.here:app"


def test_then_the_variable_then_the_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(project / "pyproject.toml", "from_file:app")
    assert app_path(None) == "from_file:app"
    monkeypatch.setenv("RMQWORK_APP", "from_env:app")
    assert app_path(None) == "from_env:app"


def test_a_file_further_up_counts_as_if_run_there(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(project / "pyproject.toml", "from_file:app")
    below = project / "src" / "deep"
    below.mkdir(parents=True)
    (project / "src" / "pyproject.toml").write_text('[project]\nname = "no rmqwork here"\n')
    monkeypatch.chdir(below)
    assert app_path(None) == "from_file:app"
    assert os.environ["RMQWORK_CONFIG"] == str(project / "pyproject.toml")
    assert os.environ["PYTHONPATH"] == str(project)
    assert str(project) in sys.path


def test_without_any_the_error_names_all_three_ways(project: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        app_path(None)
    for way in ("first argument", "RMQWORK_APP", "[tool.rmqwork]"):
        assert way in str(caught.value)


@pytest.mark.parametrize("path", ["shop/app.py", "shop:", ":app", "shop app:x", "shop-app:app"])
def test_what_is_no_path_of_an_app_is_refused(project: Path, path: str) -> None:
    with pytest.raises(ConfigurationError, match="module:attribute"):
        app_path(path)
