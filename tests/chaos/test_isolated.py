"""Tasks that want a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.chaos.heavy_app import app

pytestmark = [pytest.mark.slow]


def lives(pid: str) -> bool:
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_each_run_has_a_process_of_its_own_and_its_children_end_with_it(
    vhost_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a worker of 2 processes, and 5 isolated tasks that each leave a child behind
    done = tmp_path / "done"
    done.touch()
    monkeypatch.setenv("RMQWORK_BROKER", vhost_url)
    app.__dict__.pop("settings", None)
    worker = subprocess.Popen(
        [sys.executable, "-m", "rmqwork", "worker", "tests.chaos.heavy_app:app", "-p", "2"],
        env={**os.environ, "HEAVY_DONE": str(done)},
    )
    try:
        # When they run, and one of them ends its process before its end
        for number in range(5):
            app.send_task("heavy.alone", {"die": number == 2})
        app.send_task("heavy.quick", {})
        end = time.monotonic() + 60
        while len(rows := done.read_text().split()) < 8 and time.monotonic() < end:
            time.sleep(0.1)

        # Then each run (the third task's are three) had another process, and no child is left
        runs = [row.split(":")[1:] for row in rows if row.startswith("alone")]
        assert len(runs) == 4 + 3, rows
        assert len({pid for pid, _ in runs}) == len(runs)
        while any(lives(child) for _, child in runs) and time.monotonic() < end:
            time.sleep(0.1)
        assert not [child for _, child in runs if lives(child)]
        assert "quick" in rows
    finally:
        worker.terminate()
        assert worker.wait(40) == 0
        app.close()
        app.__dict__.pop("settings", None)
