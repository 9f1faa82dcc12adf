"""What the worker process does without: it starts sooner, and is smaller."""

from __future__ import annotations

import subprocess
import sys

WORKER = "rmqwork.worker.run, rmqwork.worker.supervisor, rmqwork.worker.shutdown"
FOREIGN = ("pydantic", "pydantic_core", "tenacity", "fast_depends", "sqlalchemy", "redis")


def test_the_worker_process_imports_nothing_that_only_an_app_needs():
    code = f"import sys, {WORKER}\nprint(*(name for name in {FOREIGN!r} if name in sys.modules))"

    found = subprocess.check_output([sys.executable, "-c", code], text=True)

    assert found.split() == []
