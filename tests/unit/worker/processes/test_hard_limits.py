"""Which task has run for too long, and what becomes of it."""

from __future__ import annotations

from rmqwork import App, Retry
from rmqwork._config.manifest import Manifest
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.processes.hard_limits import HardLimits
from rmqwork.types import Failure, Reason, RetryOutcome
from tests.unit.fakes import delivery


def limits(*, limited: bool = True) -> HardLimits:
    app = App("shop", broker="memory://", queues=["q"])
    limit = 3.0 if limited else None
    retry = Retry(max_attempts=2)
    app.task(lambda: None, name="shop.slow", aliases=["slow"], hard_time_limit=limit, retry=retry)
    app.task(lambda: None, name="shop.free")
    return HardLimits(Manifest.from_dict(app.manifest()).tasks)


def held(number: int, task: str, attempt: int = 1) -> HeldDelivery:
    return HeldDelivery(number, delivery(None, number, type=task), "q", f"id-{number}", attempt)


def test_an_app_without_limits_needs_no_look() -> None:
    assert limits()
    assert not limits(limited=False)


def test_what_has_run_for_longer_is_found_by_either_name_of_its_task() -> None:
    helds = {
        1: held(1, "shop.slow"),  # too long
        2: held(2, "slow"),  # too long, sent by the task's former name
        3: held(3, "shop.slow"),  # not yet
        4: held(4, "shop.free"),
        5: held(5, "shop.slow"),  # not started
        6: held(6, "shop.unknown"),
    }
    started = {1: 10.0, 2: 10.0, 3: 11.5, 4: 0.0, 6: 0.0, 7: 0.0}  # 7 has ended just now

    found = dict(limits().overdue(helds, started, now=14.0))

    assert list(found) == [1, 2]
    outcome = found[1]
    assert isinstance(outcome, RetryOutcome)
    assert outcome.counts
    assert outcome.evidence.message == "it ran longer than its hard time limit of 3 s"


def test_the_last_attempt_fails_for_good() -> None:
    found = dict(limits().overdue({1: held(1, "shop.slow", 2)}, {1: 0.0}, now=9.0))

    outcome = found[1]
    assert isinstance(outcome, Failure)
    assert outcome.reason is Reason.TIME_LIMIT
