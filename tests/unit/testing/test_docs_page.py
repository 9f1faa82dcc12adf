"""What docs/how-to/testing.md shows is a test suite that passes."""

from __future__ import annotations

import re
from pathlib import Path

from tests.unit.testing.test_plugin import ROOT, run_pytest

BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_tests_of_the_page_pass(tmp_path: Path):
    name, files = "", {}
    for block in BLOCK.findall((ROOT / "docs" / "how-to" / "testing.md").read_text()):
        if found := re.match(r"# (\w+\.py)\n", block):
            name = found[1]
        files[name] = files.get(name, "") + block
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")

    code, out = run_pytest(tmp_path, "--strict-markers")

    assert code == 0, out
    assert "12 passed" in out
