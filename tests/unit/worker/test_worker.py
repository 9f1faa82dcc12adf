"""Details and commands of a worker: for probes, people and operators."""

from __future__ import annotations

from typing import Any

from rmqwork._control.wire import Command
from rmqwork.types import Success
from tests.unit.worker.harness import WorkerHarness, a_worker
from tests.waiting import auntil


async def asked(worker: WorkerHarness, do: str, **what: Any) -> Any:
    """The answer to a command."""
    before = len(worker.published)
    command = Command(do, what=what, by="ann", at=1.0, reply_to="amq.reply")
    worker.worker.control.act(command)
    await auntil(lambda: len(worker.published) > before, "it answers")
    return worker.published[-1]


async def test_probes_see_what_runs_waits_and_is_being_settled() -> None:
    async with a_worker(concurrency=1) as worker:
        await worker.runs("low", "a")
        worker.deliver("low", "b")
        detail = worker.worker.detail()
        assert (detail["running"], detail["waiting"], detail["settling"]) == (1, 1, 0)
        assert (detail["consuming"], detail["publishing"], detail["started"]) == (True, True, True)
        assert (detail["stopping"], detail["paused"], detail["problem"]) == (False, {}, "")

        worker.executor.report("a", Success(0.1))
        worker.at_once.set()
        await worker.shut_down(0.0)
        assert worker.worker.detail()["stopping"] is True


async def test_its_clock_turns() -> None:
    async with a_worker() as worker:
        before = worker.worker.last_tick
        await auntil(lambda: worker.worker.last_tick > before, "it has turned")


async def test_it_is_scaled_while_it_runs() -> None:
    async with a_worker() as worker:
        await asked(worker, "scale", processes=3)
        assert len(worker.template.executors) == 3
        assert worker.worker.plan.processes == 3
        await asked(worker, "scale", processes=1)
        await auntil(lambda: len(worker.template.executors) == 1, "two have left")


async def test_an_operator_may_end_it() -> None:
    async with a_worker() as worker:
        await asked(worker, "shutdown")
        await auntil(worker.stopped.is_set, "it is to stop")


async def test_a_template_that_dies_is_replaced() -> None:
    async with a_worker() as worker:
        worker.template.events.on_template_death(worker.template, "it died")
        worker.template.events.on_warning("careful")
        [message] = await worker.runs("low", "a")
        worker.executor.report("a", Success(0.1))
        await worker.settled(message)
