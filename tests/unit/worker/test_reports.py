"""Reports of processes: what tasks publish, progress, answers, and deaths."""

from __future__ import annotations

from rmqwork._messages import headers as names
from rmqwork._worker.ipc.death import Death
from rmqwork._worker.ipc.wire import publication_tuple
from rmqwork.types import Success
from tests.unit.fakes import publication, turns
from tests.unit.worker.harness import a_worker
from tests.waiting import auntil

# ── what else executors say ───────────────────────────────────────────────────────────────────


async def test_a_task_that_publishes_is_told_what_became_of_it() -> None:
    async with a_worker() as worker:
        await worker.runs("low", "a")
        child = publication(message_id="child")
        worker.executor.say(("publish", 7, [publication_tuple(child)], 5.0))
        await auntil(lambda: ("published", 7, [None]) in worker.executor.told)
        assert [one.message_id for one in worker.published] == ["child"]


async def test_progress_is_told_to_who_waits_and_to_nobody_else() -> None:
    async with a_worker() as worker:
        await worker.runs("low", "a", reply_to="amq.reply", correlation_id="c")
        await worker.runs("low", "b")
        for one in ("a", "b"):
            worker.executor.say(("progress", worker.executor.number(one), 1.0, 2.0))
        worker.executor.say(("progress", 4711, 1.0, 2.0))
        await auntil(lambda: worker.published, "progress is published")
        assert [one.routing_key for one in worker.published] == ["amq.reply"]


async def test_an_answer_shows_that_an_executor_lives() -> None:
    async with a_worker() as worker:
        await auntil(lambda: any(one[0] == "ping" for one in worker.executor.told), "it is asked")
        worker.executor.say(("pong", 1), ("warning", "careful"))
        assert worker.worker.detail()["started"] is True


async def test_a_report_of_what_an_executor_does_not_have_is_passed_over() -> None:
    async with a_worker() as worker:
        worker.executor.say(("o", 4711, "s", 0.1, None), ("cancelled", 4712), ("back", [4713]))
        [message] = await worker.runs("low", "a")
        worker.executor.report("a", Success(0.1))
        await worker.settled(message)


# ── executors that die ────────────────────────────────────────────────────────────────────────


async def test_what_a_dead_executor_had_not_started_runs_elsewhere() -> None:
    async with a_worker() as worker:
        worker.executor.starts = False
        [message] = await worker.runs("low", "a")
        worker.executor.die(Death(1, 3))
        await auntil(lambda: worker.running() == ["a"], worker.running)
        [replacement] = worker.isolated
        replacement.report("a", Success(0.1))
        await worker.settled(message)


async def test_a_task_that_alone_was_running_is_to_blame_and_runs_next_as_a_suspect() -> None:
    async with a_worker() as worker:
        [message] = await worker.runs("low", "a")
        worker.executor.die(Death(1, None, 11))
        await worker.settled(message)
        [again] = worker.published
        assert again.routing_key == "low.suspects"
        assert again.headers[names.ATTEMPT] == 2


async def test_many_that_were_running_run_again_apart_and_nobody_pays() -> None:
    async with a_worker() as worker:
        messages = await worker.runs("low", "a", "b")
        worker.executor.die(Death(1, None, 9))
        for one in ("a", "b"):
            await auntil(lambda one=one: one in worker.running(), worker.running)  # type: ignore[misc]
            process = worker.where(one)
            assert len(process.got) == 1
            process.report(one, Success(0.1))
        await worker.settled(*messages)
        assert worker.published == []


async def test_what_ran_in_a_dead_executor_and_lost_its_channel_comes_again() -> None:
    async with a_worker() as worker:
        await worker.runs("low", "a", "b")
        await worker.lose()
        worker.executor.die(Death(1, None, 9))
        await turns(20)
        assert worker.running() == []
        await worker.runs("low", "a", "b", redelivered=True)


async def test_a_partition_waits_for_the_task_that_killed_its_process_to_run_alone() -> None:
    async with a_worker() as worker:
        [message] = await worker.runs("orders.0", "a", type="shop.step")
        worker.executor.die(Death(1, None, 11))
        await auntil(lambda: worker.running() == ["a"], worker.running)
        assert worker.where("a") in worker.isolated
        assert worker.where("a").got[worker.where("a").number("a")][5] == 2
        worker.where("a").report("a", Success(0.1))
        await worker.settled(message)
