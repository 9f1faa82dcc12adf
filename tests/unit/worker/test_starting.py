"""A worker from its beginning to its end, as a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.waiting import until

APP = """
import os
from pathlib import Path
from rmqwork import App

app = App("shop", broker="memory://", queues=["q"])
here = Path(__file__).parent
said = [os.environ[f"RMQWORK_LOG_{name}"] for name in ("FORMAT", "LEVEL")]
(here / "said").write_text(" ".join([str(os.getpid()), *said]))

@app.task(name="shop.task")
def task() -> None: ...
"""
RUN = """
import logging, sys
from rmqwork._worker.model.options import WorkerOptions
from rmqwork._worker.starting import run_worker
from rmqwork.errors import ConfigurationError

logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stdout)
options = WorkerOptions(sys.argv[1], name="me", log_format="json", log_level="DEBUG", grace=5.0)
try:
    print("exit code", run_worker(options))
except ConfigurationError as error:
    print("configuration:", error)
"""


def start(folder: Path, app: str) -> subprocess.Popen[str]:
    (folder / "shop_app.py").write_text(APP)
    return subprocess.Popen(
        [sys.executable, "-c", RUN, app],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_worker_works_until_a_signal_and_its_app_is_imported_elsewhere(tmp_path: Path) -> None:
    worker = start(tmp_path, "shop_app:app")
    assert worker.stdout is not None
    try:
        lines = iter(worker.stdout.readline, "")
        before = [next(line for line in lines if "me works on q" in line)]
        pid, *told = until(lambda: (tmp_path / "said").read_text(), "the app").split()

        worker.send_signal(signal.SIGTERM)
        after = [*before, *lines]
        assert worker.wait(60) == 0
    finally:
        worker.kill()
        worker.stdout.close()

    assert int(pid) != worker.pid
    assert told == ["json", "DEBUG"]
    assert after[-1] == "exit code 0\n"
    assert any("stopped: all finished" in line for line in after)


def test_an_app_that_is_not_there_is_an_error_of_configuration(tmp_path: Path) -> None:
    worker = start(tmp_path, "no_such_app_anywhere:app")

    said, _ = worker.communicate(timeout=60)

    assert worker.returncode == 0
    assert "configuration:" in said
    assert "no_such_app_anywhere" in said
