"""Where the demo runs, and its workers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from rmqwork._cli.demo.setup import Setup, Worker, WorkerFailed


def worker(folder: Path, code: str) -> Worker:
    """A process that runs some code, in the place of a worker."""
    log = folder / "low-1.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=file
        )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    return Worker("low-1", "q", log, process)


def test_a_folder_has_places_for_images_thumbnails_and_logs(tmp_path: Path) -> None:
    setup = Setup.make("memory://demo", tmp_path, "http://source")

    assert {path.name for path in tmp_path.iterdir()} == {"images", "thumbnails", "logs"}
    assert setup.logs == tmp_path / "logs"


def test_a_worker_that_ended_by_itself_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    ended = worker(tmp_path, "raise SystemExit('no broker')")
    ended.process.wait(30)

    with pytest.raises(WorkerFailed, match=r"low-1 ended with exit code 1:\n  no broker"):
        ended.check()


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("import signal; signal.signal(15, lambda *_: exit(0))", "exit code 0"),
        ("", "was killed by signal 15"),
    ],
)
async def test_how_a_worker_left(tmp_path: Path, code: str, how: str) -> None:
    leaving = worker(tmp_path, f"import time\n{code}\nprint('ready', flush=True)\ntime.sleep(60)")
    leaving.check()

    assert re.fullmatch(rf"low-1: {how}, \d+\.\d s after SIGTERM", await leaving.leave())
