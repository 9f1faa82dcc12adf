"""What users see of our types, by the two checkers that they use."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ACCEPTED, REFUSED = HERE / "accepted.py", HERE / "refused.py"


def mypy() -> dict[tuple[str, int], str]:
    """The errors of mypy, by file and line."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--no-pretty"]
    files = [str(ACCEPTED), str(REFUSED)]
    done = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    found = re.findall(r"^(.+?):(\d+): error: (.*)$", done.stdout, re.MULTILINE)
    # It follows imports, and complains of those, too: that is another test's business.
    return {
        (Path(path).name, int(line)): text
        for path, line, text in found
        if Path(path).parent.name == HERE.name
    }


def pyright() -> dict[tuple[str, int], str]:
    """The errors of pyright, by file and line."""
    options = ["--outputjson", "--pythonpath", sys.executable]
    command = [sys.executable, "-m", "pyright", *options, str(ACCEPTED), str(REFUSED)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return {
        (Path(entry["file"]).name, entry["range"]["start"]["line"] + 1): entry["message"]
        for entry in json.loads(done.stdout)["generalDiagnostics"]
        if entry["severity"] == "error"
    }


@pytest.mark.slow
@pytest.mark.parametrize("checker", [mypy, pyright])
def test_right_calls_are_accepted_and_wrong_ones_refused(checker):
    # Given the lines that must be refused, and all others, which must not
    lines = REFUSED.read_text().splitlines()
    wanted = {(REFUSED.name, at) for at, line in enumerate(lines, 1) if "# refused" in line}
    wanted -= {(REFUSED.name, at) for at in (1, 2, 3)}  # where the docstring explains the mark

    # When the checker has read both files
    found = checker()

    # Then it has refused those, and nothing else
    assert len(wanted) > 20
    assert found.keys() - wanted == set(), {at: found[at] for at in found.keys() - wanted}
    assert wanted - found.keys() == set()
