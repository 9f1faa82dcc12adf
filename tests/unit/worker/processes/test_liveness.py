"""Which executors answer, and when a worker is given up because of it."""

from __future__ import annotations

from rmqwork import App, Queue
from rmqwork._config.manifest import Manifest
from rmqwork._worker.model.options import WorkerOptions
from rmqwork._worker.model.plan import CONSUMER_TIMEOUT, worker_spec
from rmqwork._worker.processes.liveness import (
    ANSWER_TIMEOUT,
    EVERY,
    LivenessCheck,
    answer_timeout,
)


class Asked:
    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.questions: list[int] = []
        self.running: dict[int, float] = {}

    def ping(self, number: int) -> None:
        self.questions.append(number)

    def started(self) -> dict[int, float]:
        return self.running


def test_each_is_asked_again_only_after_it_has_answered() -> None:
    pulse, quick, slow = LivenessCheck(600), Asked(1), Asked(2)
    pulse.beat([quick, slow], 0)
    pulse.answered(quick)

    pulse.beat([quick, slow], EVERY / 2)
    assert (len(quick.questions), len(slow.questions)) == (1, 1)
    pulse.beat([quick, slow], EVERY)

    assert (len(quick.questions), len(slow.questions)) == (2, 1)
    assert pulse.alive


def test_a_worker_is_given_up_when_no_executor_answers() -> None:
    pulse, one, other = LivenessCheck(600), Asked(1), Asked(2)
    pulse.beat([one, other], 0)
    pulse.answered(other)
    pulse.beat([one, other], ANSWER_TIMEOUT + 1)
    assert pulse.silent == {1: ANSWER_TIMEOUT + 1}
    assert pulse.alive

    pulse.beat([one, other], 2 * ANSWER_TIMEOUT + 3)
    assert set(pulse.silent) == {1, 2}
    assert not pulse.alive

    pulse.answered(one)
    pulse.beat([one, other], 2 * ANSWER_TIMEOUT + 4)
    assert pulse.alive


def test_a_task_may_hold_the_gil_for_as_long_as_it_may_run() -> None:
    pulse, one = LivenessCheck(600), Asked(1)
    one.running = {7: 0.0}
    pulse.beat([one], 0)
    pulse.beat([one], 599)
    assert pulse.alive

    pulse.beat([one], 601)
    assert not pulse.alive
    pulse.beat([], 602)  # it is dead, and another one starts
    assert pulse.alive


def test_the_patience_follows_from_the_limits_of_the_workers_own_tasks() -> None:
    app = App("pulse", queues=[Queue("q"), Queue("other")], default_queue="q")

    @app.task(time_limit=100)
    def limited() -> None: ...

    @app.task(queue="other")
    def endless() -> None: ...

    manifest = Manifest.from_dict(app.manifest())
    both = worker_spec(WorkerOptions("x:app"), manifest)
    one = worker_spec(WorkerOptions("x:app", queues=[("q", None)]), manifest)
    assert answer_timeout(one) == 100 + ANSWER_TIMEOUT
    assert answer_timeout(both) == CONSUMER_TIMEOUT + ANSWER_TIMEOUT
