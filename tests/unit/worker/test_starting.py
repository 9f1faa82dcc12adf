"""A worker begins with its template, which has the worker's environment and imports the app."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.unit.worker.whole import whole_worker
from tests.waiting import until

APP = """
import os
from pathlib import Path
from rmqwork import App

app = App("shop", broker="memory://", queues=["q"])
said = [os.environ[f"RMQWORK_LOG_{name}"] for name in ("FORMAT", "LEVEL")]
Path("said").write_text(" ".join([str(os.getpid()), *said]))
"""


def test_a_worker_works_until_a_signal_and_its_app_is_imported_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "shop_app.py").write_text(APP)
    with whole_worker(tmp_path, "shop_app:app") as worker:
        worker.says("me works on q")
        pid, *told = until(lambda: (tmp_path / "said").read_text(), "the app").split()

        worker.process.send_signal(signal.SIGTERM)
        *_, last = lines = worker.end()

        assert int(pid) != worker.process.pid
        assert told == ["json", "DEBUG"]
        assert last == "exit code 0"
        assert any("stopped: all finished" in line for line in lines)


def test_an_app_that_is_not_there_is_an_error_of_configuration(tmp_path: Path) -> None:
    with whole_worker(tmp_path, "no_such_app_anywhere:app") as worker:
        said = "\n".join(worker.end())

    assert "ConfigurationError: " in said
    assert "no_such_app_anywhere" in said
