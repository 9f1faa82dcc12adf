"""What deploy/kubernetes ships is what the example's app renders to, and valid."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

from tests.kubernetes.validation import check

ROOT = Path(__file__).resolve().parents[4]
SHIPPED = ROOT / "deploy" / "kubernetes"


def test_the_base_is_in_step_with_the_app(tmp_path: Path) -> None:
    fresh = tmp_path / "app.yaml"
    subprocess.run(
        [ROOT / "tools" / "kubernetes-base", str(fresh)],
        env={**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    )

    shipped = (SHIPPED / "base" / "app.yaml").read_text()
    assert shipped == fresh.read_text(), "run tools/kubernetes-base"


def test_all_files_are_valid() -> None:
    files = [one for one in SHIPPED.rglob("*.yaml") if one.name != "kustomization.yaml"]

    assert len(files) == 5
    for file in files:
        check(yaml.safe_load_all(file.read_text()))
