"""A worker from its start to its exit code: what may come between."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from tests.unit.worker.whole import whole_worker
from tests.waiting import until

APP = """
import os, signal, time
from contextlib import contextmanager
from pathlib import Path
from rmqwork import App

app = App("shop", broker={broker!r}, queues=["q"])

@app.task(name="shop.task")
def task() -> None: ...
"""


def write(folder: Path, more: str = "", broker: str = "memory://") -> None:
    (folder / "run_app.py").write_text(APP.format(broker=broker) + more)


def test_a_signal_while_the_app_is_imported_ends_the_worker_at_once(tmp_path: Path) -> None:
    write(tmp_path, "Path('importing').touch()\ntime.sleep(600)\n")
    with whole_worker(tmp_path, "run_app:app") as worker:
        until(lambda: (tmp_path / "importing").exists(), "the import")
        began = time.monotonic()

        worker.process.send_signal(signal.SIGTERM)

        assert worker.end()[-1] == "exit code 0"
        assert time.monotonic() - began < 60


def test_a_template_that_is_killed_while_it_imports_is_started_again(tmp_path: Path) -> None:
    more = (
        "if not Path('died').exists():\n"
        "    Path('died').touch()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    write(tmp_path, more)
    with whole_worker(tmp_path, "run_app:app") as worker:
        assert "signal 9; starting another one" in worker.says("starting another one")
        worker.says("me works on q")

        worker.process.send_signal(signal.SIGTERM)
        assert worker.end()[-1] == "exit code 0"


def test_one_that_is_always_killed_is_given_up(tmp_path: Path) -> None:
    write(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)\n")
    with whole_worker(tmp_path, "run_app:app") as worker:
        lines = worker.end()

    assert sum("starting another one" in line for line in lines) == 2
    assert "cannot import 'run_app:app'" in lines[-1]


def test_without_a_broker_it_ends_after_its_patience_and_says_so(tmp_path: Path) -> None:
    write(tmp_path, broker="amqp://127.0.0.1:1")  # nobody listens there
    with whole_worker(tmp_path, "run_app:app", '{"broker_wait": 0.5}') as worker:
        last = "\n".join(worker.end()[-3:])

    assert "BrokerUnavailable: no broker within 0.5 s (--broker-wait)" in last


def test_a_lifespan_that_fails_is_tried_again_until_a_signal(tmp_path: Path) -> None:
    """What it needs may come back."""
    more = (
        "@app.lifespan\n@contextmanager\ndef fails():\n"
        "    raise RuntimeError('no database here')\n    yield\n"
    )
    write(tmp_path, more)
    with whole_worker(tmp_path, "run_app:app") as worker:
        for _ in range(2):
            assert "no database here" in worker.says("the lifespan failed")

        worker.process.send_signal(signal.SIGTERM)
        assert worker.end()[-1] == "exit code 0"
