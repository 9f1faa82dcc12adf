"""A worker leaves with nothing lost: what has not started goes back, what runs is waited for."""

from __future__ import annotations

import asyncio
import logging

import pytest

from rmqwork._worker.ipc.death import Death
from rmqwork._worker.shutdown import EXIT_ALL_DONE, EXIT_HANDED_BACK, soft_deadline
from rmqwork.types import Delivery, Success
from tests.unit.fakes import FakeConnector, delivery, turns
from tests.unit.worker.harness import FAILURE, a_worker
from tests.waiting import auntil


async def test_an_idle_worker_leaves_at_once() -> None:
    async with a_worker() as worker:
        assert await worker.shut_down() == EXIT_ALL_DONE
        assert worker.template.closed
        assert ("exit",) in worker.executor.told
        assert not worker.link.is_open


async def test_what_has_not_started_goes_back_in_its_order_after_the_consumers_have_ended() -> None:
    async with a_worker(concurrency=1) as worker:
        [runs] = await worker.runs("low", "runs")
        channel = worker.channel("low")
        waiting = [worker.deliver("low", one) for one in ("a", "b", "c")]
        await turns()
        ending = asyncio.ensure_future(worker.shut_down())
        await worker.settled(*waiting, by="nack")
        assert [tag for _, tag in channel.log] == [one.tag for one in waiting]
        assert channel.cancelled

        worker.executor.report("runs", Success(0.1))
        assert await ending == EXIT_ALL_DONE
        await worker.settled(runs)


async def test_what_comes_while_the_consumers_end_goes_back_after_that() -> None:
    async with a_worker() as worker:
        channel = worker.channel("low")
        late = delivery(channel, 4711, queue="low", type="shop.thread")
        channel.late.append(late)
        cancelled: list[bool] = []
        nack = channel.nack

        def nack_and_look(message: Delivery) -> None:
            cancelled.append(len(channel.cancelled) == 2)
            nack(message)

        channel.nack = nack_and_look  # type: ignore[method-assign]
        assert await worker.shut_down() == EXIT_ALL_DONE
        assert set(channel.log) == {("nack", late.tag)}  # once for each consumer that ended
        assert cancelled == [True, True]
        assert worker.executor.got == {}


async def test_what_an_executor_has_not_started_goes_back() -> None:
    async with a_worker() as worker:
        worker.executor.starts = False
        [message] = await worker.runs("low", "a")
        assert await worker.shut_down() == EXIT_ALL_DONE
        await worker.settled(message, by="nack")


async def test_suspects_and_partitions_go_back() -> None:
    async with a_worker(concurrency=1) as worker:
        worker.template.alive = False  # no process for a suspect, now
        await worker.runs("low", "runs")
        suspect = worker.deliver("low.suspects", "a")
        step = worker.deliver("orders.0", "b", type="shop.step")
        await turns()
        ending = asyncio.ensure_future(worker.shut_down())
        await worker.settled(suspect, step, by="nack")
        worker.executor.report("runs", Success(0.1))
        assert await ending == EXIT_ALL_DONE


async def test_a_task_that_outlasts_the_grace_is_killed_named_and_handed_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with a_worker() as worker:
        [message] = await worker.runs("low", "a")
        with caplog.at_level(logging.WARNING):
            assert await worker.shut_down(0.1) == EXIT_HANDED_BACK
        await worker.settled(message, by="nack")
        told = [one[0] for one in worker.executor.told if one[0] != "ping"]
        assert told[:4] == ["give-back", "stopping", "cancel-async", "kill"]
        assert "handed back unfinished: a (shop.thread, queue low)" in caplog.text


async def test_a_second_signal_ends_the_patience() -> None:
    async with a_worker() as worker:
        [message] = await worker.runs("low", "a")
        worker.at_once.set()
        assert await worker.shut_down(600.0) == EXIT_HANDED_BACK
        await worker.settled(message, by="nack")


async def test_an_executor_that_dies_during_a_shutdown_has_its_tasks_handed_back() -> None:
    async with a_worker() as worker:
        messages = await worker.runs("low", "a", "b")
        ending = asyncio.ensure_future(worker.shut_down())
        await turns()
        worker.executor.die(Death(1, None, 9))
        assert await ending == EXIT_HANDED_BACK
        await worker.settled(*messages, by="nack")
        assert len(worker.template.forked) == 1  # no other one


async def test_a_consequence_is_waited_for_before_the_ack() -> None:
    async with a_worker() as worker:
        [message] = await worker.runs("low", "a")
        ending = asyncio.ensure_future(worker.shut_down())
        await turns()
        worker.executor.report("a", FAILURE)
        assert await ending == EXIT_ALL_DONE
        await worker.settled(message)
        assert [one.routing_key for one in worker.published] == ["low.dlq"]


async def test_an_outcome_that_cannot_be_settled_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    connector = FakeConnector()
    async with a_worker(connector) as worker:
        await worker.runs("low", "a")
        connector.up = False
        worker.link.lose()
        await turns()
        worker.executor.report("a", Success(0.1))
        with caplog.at_level(logging.WARNING):
            assert await worker.shut_down() == EXIT_HANDED_BACK
        assert "1 outcomes were not settled when their connection was lost" in caplog.text


async def test_what_was_returned_on_a_channel_that_ends_meanwhile_is_not_settled() -> None:
    async with a_worker(concurrency=1) as worker:
        await worker.runs("low", "runs")
        worker.executor.starts = False
        worker.deliver("low", "a")
        await turns()
        ending = asyncio.ensure_future(worker.shut_down(0.1))
        worker.link.lose()
        await auntil(ending.done, "it ends")
        assert ending.result() == EXIT_HANDED_BACK  # "runs" is what was killed


def test_tasks_are_told_before_they_are_killed() -> None:
    assert soft_deadline(25.0) == pytest.approx(20.0)
