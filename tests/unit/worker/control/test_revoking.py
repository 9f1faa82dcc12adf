"""What is revoked ends: what waits at once, what runs if that can be done, or is asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic
from typing import Any, cast

import pytest

from rmqwork._control.control_state import ControlState
from rmqwork._control.wire import Command
from rmqwork._worker.control.revoking import Revoking
from rmqwork.types import Reason
from tests.unit.worker.control.harness import ControlHarness
from tests.unit.worker.specs import shop_spec


@pytest.fixture
async def harness() -> ControlHarness:
    return ControlHarness()


@pytest.fixture
def revoking(harness: ControlHarness) -> Revoking:
    return make_revoking(harness)


def make_revoking(harness: ControlHarness, clock: Callable[[], float] = monotonic) -> Revoking:
    pool = cast(Any, harness.pool)
    return Revoking(
        shop_spec(), harness.dispatcher, pool, harness.waiting, harness.revocations, clock=clock
    )


def revoked(*ids: str, terminate: bool = False) -> ControlState:
    state = ControlState()
    what = {"ids": list(ids), "terminate": terminate}
    state.take(Command("revoke", what, by="op@host", at=0.0))
    return state


async def test_what_waits_is_refused_and_what_is_not_meant_stays(
    revoking: Revoking, harness: ControlHarness
) -> None:
    mine, other = harness.wait("a"), harness.wait("b")

    assert revoking.adopt(revoked("a", "elsewhere")) == 1

    ((held, reason, evidence),) = harness.waiting.refused
    assert (held, reason) == (mine, Reason.REVOKED)
    assert evidence.message == "revoked by op@host at 1970-01-01T00:00:00+00:00"
    assert harness.waiting.there == [other]


async def test_what_comes_later_is_known(revoking: Revoking, harness: ControlHarness) -> None:
    later = harness.held("shop.thread", "thread", "a")
    assert harness.revocations.evidence(later) is None

    revoking.adopt(revoked("a"))

    evidence = harness.revocations.evidence(later)
    assert evidence is not None
    assert evidence.type == "TaskRevoked"
    assert harness.revocations.evidence(harness.held("shop.thread", "thread", "b")) is None


async def test_what_an_executor_has_not_started_is_asked_back(
    revoking: Revoking, harness: ControlHarness
) -> None:
    held = await harness.send("shop.thread", "thread", "a", started=False)

    assert revoking.tell(Command("revoke")) is None
    assert revoking.adopt(revoked("a")) == 1

    assert harness.executor.given_back == [held.number]
    assert harness.executor.cancelled == harness.pool.killed == []


async def test_a_coroutine_is_cancelled_once_and_its_end_is_a_revocation(
    revoking: Revoking, harness: ControlHarness
) -> None:
    held = await harness.send("shop.loop", "async", "a")

    revoking.adopt(revoked("a"))
    revoking.enforce()

    assert harness.executor.cancelled == [(held.number, "revoked")]
    outcome = revoking.ended(held)
    assert outcome is not None
    assert outcome.reason is Reason.REVOKED
    assert revoking.ended(held) is None
    assert harness.pool.killed == []


@pytest.mark.parametrize("terminate", [False, True])
async def test_a_coroutine_that_does_not_end_is_killed_after_its_patience_if_that_was_asked_for(
    harness: ControlHarness, terminate: bool
) -> None:
    now = [100.0]
    revoking = make_revoking(harness, lambda: now[0])
    held = await harness.send("shop.loop", "async", "a")
    revoking.adopt(revoked("a", terminate=terminate))
    now[0] += 1.9
    revoking.enforce()
    assert harness.pool.killed == []

    now[0] += 0.2
    revoking.enforce()

    assert [number for _, number, _ in harness.pool.killed] == [held.number] * terminate


async def test_an_isolated_task_is_killed_with_its_process(
    revoking: Revoking, harness: ControlHarness
) -> None:
    held = await harness.send("shop.isolated", "thread", "a")

    revoking.adopt(revoked("a"))
    revoking.enforce()

    ((executor, number, outcome),) = harness.pool.killed
    assert (executor, number, outcome.reason) == (harness.executor, held.number, Reason.REVOKED)


async def test_a_task_in_a_thread_runs_on_unless_it_is_to_be_killed(
    revoking: Revoking, harness: ControlHarness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rmqwork.worker.control")
    held = await harness.send("shop.thread", "thread", "a")
    revoking.adopt(revoked("a"))
    revoking.enforce()
    assert harness.pool.killed == []
    assert caplog.text.count("runs on in its thread") == 1

    revoking.adopt(revoked("a", terminate=True))

    assert [number for _, number, _ in harness.pool.killed] == [held.number]


async def test_what_has_ended_meanwhile_is_not_chased(
    revoking: Revoking, harness: ControlHarness
) -> None:
    held = await harness.send("shop.isolated", "thread", "a", started=False)
    revoking.adopt(revoked("a"))
    harness.dispatcher.take(harness.executor, held.number)
    harness.executor.running.add(held.number)

    revoking.enforce()

    assert harness.pool.killed == []
    assert revoking.ended(held) is None
