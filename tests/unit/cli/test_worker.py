"""``rmqwork worker``: from the command line to `WorkerOptions`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import rmqwork._worker.starting
from rmqwork._worker.model.options import WorkerOptions

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Run


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[WorkerOptions]:
    seen: list[WorkerOptions] = []

    def run_worker(options: WorkerOptions) -> int:
        seen.append(options)
        return 3

    monkeypatch.setattr(rmqwork._worker.starting, "run_worker", run_worker)
    return seen


def test_defaults_are_left_to_the_apps_settings(run: Run, started: list[WorkerOptions]) -> None:
    code, _, _ = run("worker", "shop.app:app")
    assert code == 3  # the worker's own
    assert started == [WorkerOptions("shop.app:app")]


def test_all_options(run: Run, started: list[WorkerOptions]) -> None:
    run(
        "worker", "shop.app:app", "-Q", "high:3,low:1", "-p", "2", "-c", "8",
        "--async-concurrency", "500", "--prefetch", "20", "--grace", "1.5", "--broker", "amqp://a",
        "--broker-wait", "5", "--max-tasks", "1000",
        "--max-memory", "1.5GiB", "--no-preload", "--health-port", "8080", "--log-format", "json",
        "--log-level", "debug", "--name", "me",
    )  # fmt: skip
    assert started == [
        WorkerOptions(
            app="shop.app:app",
            queues=[("high", 3), ("low", 1)],
            processes=2,
            concurrency=8,
            async_concurrency=500,
            prefetch=20,
            grace=1.5,
            broker="amqp://a",
            broker_wait=5.0,
            preload=False,
            max_tasks=1000,
            max_memory=3 << 29,
            health_port=8080,
            log_format="json",
            log_level="DEBUG",
            name="me",
        )
    ]


def test_the_help_explains_the_exit_codes(run: Run) -> None:
    _, out, _ = run("worker", "--help")
    for code in "01234":
        assert f"\n    {code}  " in out


@pytest.mark.parametrize("option", ["--grace", "--broker-wait"])
@pytest.mark.parametrize("value", ["nan", "inf", "-1", "x"])
def test_seconds_are_a_number(run: Run, option: str, value: str) -> None:
    code, _, err = run("worker", "shop.app:app", option, value)
    assert code == 2
    assert err.count("\n") == 1
    assert option in err
