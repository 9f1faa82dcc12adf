"""The program: errors in one line, exit codes, where --debug may stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Run


def test_version(run: Run) -> None:
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith("rmqwork ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bogus"], "No such command 'bogus'"),
        (["worker", "shop:app", "--bogus"], "No such option"),
        (["worker", "shop:app", "-p", "0"], "0 is not in the range"),
        (["worker", "shop:app", "-p", "x"], "'x' is not a valid integer"),
        (["worker", "shop:app", "--grace", "-1"], "-1.0 is not in the range"),
        (["worker", "shop:app", "--log-format", "xml"], "'xml' is not one of"),
        (["worker", "shop:app", "-Q", "a:3,b"], "give every queue a weight"),
        (["worker", "shop:app", "-Q", "a,,b"], "give names of queues"),
        (["worker", "shop:app", "-Q", "a:0"], "is not a number above 0"),
        (["worker", "shop:app", "-Q", "a,a"], "named twice"),
        (["worker"], "which app?"),
        (["publish"], "publish takes [APP] TASK"),
        (["publish", "shop:app", "t", "{}", "more"], "publish takes [APP] TASK"),
        (["dlq", "show"], "dlq show takes [APP] ID"),
        (["dlq", "show", "a:app", "b", "c"], "dlq show takes [APP] ID"),
        (["completion", "tcsh"], "'tcsh' is not one of"),
        (["queues", "nowhere.at_all:app"], "there is no module 'nowhere'"),
        (["dev", "shop:app", "--bogus"], "No such option"),
        (["pause", "shop:app"], "pause takes APP QUEUE where nothing else names APP"),
        (["topology", "migrate", "shop:app"], "topology migrate takes APP QUEUE"),
        (["topology", "migrate", "a:b", "c", "d"], "topology migrate takes [APP] QUEUE"),
        (["log-level", "shop:app", "loud"], "unknown log level 'loud'; use debug"),
        (["dlq", "import", "shop:app", "nowhere.jsonl"], "cannot be read: No such file"),
        (["dev", "shop:app", "-Q", "a:3,b"], "give every queue a weight"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(run: Run, arguments: list[str], said: str) -> None:
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("rmqwork: error: ")
    assert err.count("\n") == 1
    assert said in err


def test_debug_may_stand_anywhere_and_prints_a_traceback(run: Run, project: Path) -> None:
    (project / "broken.py").write_text("def f():\n    return 1 / 0\n\nf()\n")
    for arguments in (("--debug", "queues", "broken:app"), ("queues", "broken:app", "--debug")):
        code, _, err = run(*arguments)
        assert code == 2
        assert err.startswith("Traceback (most recent call last)")
        assert "return 1 / 0" in err
    _, _, err = run("queues", "broken:app")
    assert "Traceback" not in err
    assert "ZeroDivisionError: division by zero" in err
    assert "broken.py, line 2)" in err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(run: Run, shell: str) -> None:
    code, out, _ = run("completion", shell)
    assert code == 0
    assert f"_RMQWORK_COMPLETE={shell}_complete" in out


def test_the_worker_verb_imports_neither_pydantic_nor_rich(project: Path) -> None:
    look = (
        "import sys, rmqwork._cli.entry, rmqwork._cli.worker\n"
        "import rmqwork._worker.run, rmqwork._worker.model.options\n"
        "rmqwork._cli.entry.main(['worker', '--help'])\n"
        "print([name for name in ('pydantic', 'rich', 'tenacity') if name in sys.modules])"
    )
    paths = [path for path in sys.path if path]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n{look}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_pause_is_everybodys(run: Run, verb: str):
    """So there is no choice of apps that would change nothing."""
    code, _, err = run(verb, "shop:app", "a", "--all-apps")
    assert code == 2
    assert "No such option" in err
    assert "--all-apps" in err


def test_import_names_the_line_that_is_no_utf_8(run: Run, project: Path) -> None:
    project.joinpath("letters.jsonl").write_bytes(b"\n\xff\xfe\n")

    code, out, err = run("dlq", "import", "shop:app", "letters.jsonl")

    assert (code, out) == (2, "")
    assert err.startswith("rmqwork: error: letters.jsonl, line 2: 'utf-8' codec")


def test_a_locale_that_lacks_a_character_is_no_error(project: Path) -> None:
    project.joinpath("shop.py").write_text("from rmqwork import App\napp = App('caf\u00e9')\n")
    done = subprocess.run(
        [sys.executable, "-m", "rmqwork", "tasks", "shop:app"],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": os.pathsep.join(sys.path)},
    )

    assert done.returncode == 0, done.stderr
    assert b"caf\\xe9" in done.stdout


def test_a_file_that_is_not_there_is_named_first(run: Run, project: Path) -> None:
    project.joinpath("shop.py").write_text("from rmqwork import App\napp = App('shop')\n")

    code, _, err = run("publish", "shop:app", "t", "@nowhere.json")

    assert code == 1
    assert err.endswith("\nrmqwork: error: nowhere.json: No such file or directory\n")
