"""How long the broker is asked to wait for a delivery's settlement."""

from __future__ import annotations

import pytest

from rmqwork import App, Queue
from rmqwork._config.manifest import Manifest
from rmqwork._worker.model.options import WorkerOptions
from rmqwork._worker.model.plan import CONSUMER_TIMEOUT, WorkerSpec, worker_spec


def plan_of(*limits: float | None, kind: str = "quorum") -> WorkerSpec:
    app = App("limits", queues=[Queue("q", type=kind)])  # type: ignore[arg-type]
    for number, limit in enumerate(limits):

        def task() -> None: ...

        app.task(name=f"t{number}", queue="q", time_limit=limit)(task)
    return worker_spec(WorkerOptions("x:app"), Manifest.from_dict(app.manifest()))


def test_twice_the_longest_limit_where_the_default_is_too_short() -> None:
    assert plan_of(30, 3600).consumer_timeout("q") == 2 * 3600 + 60


@pytest.mark.parametrize("limits", [(30, 60), (3600, None), ()])
def test_the_brokers_own_where_it_suffices_or_nobody_knows(
    limits: tuple[float | None, ...],
) -> None:
    assert plan_of(*limits).consumer_timeout("q") is None


def test_classic_queues_refuse_the_argument() -> None:
    assert plan_of(CONSUMER_TIMEOUT, kind="classic").consumer_timeout("q") is None


def test_tasks_without_a_limit_are_named() -> None:
    assert plan_of(30, None).without_limit == ["t1"]


def test_a_grace_that_the_longest_task_does_not_fit_into_is_told_at_the_start() -> None:
    (remark,) = plan_of(30, 60).grace_remarks()
    assert "t1 may run 60 s" in remark
    assert plan_of(20, None).grace_remarks() == []
