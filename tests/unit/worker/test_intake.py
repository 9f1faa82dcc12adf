"""Decisions about a delivery before it runs: considered, admitted, recalled, given back."""

from __future__ import annotations

from rmqwork._control.control_state import ControlState
from rmqwork._control.wire import Command
from rmqwork._messages import headers as names
from rmqwork._messages.history import HISTORY
from rmqwork.types import Reason, Success, Verdict
from tests.unit.fakes import FakeConnector, turns
from tests.unit.worker.harness import FAILURE, RETRY, a_worker
from tests.waiting import auntil


def said(*commands: Command) -> ControlState:
    """What holds after some commands."""
    state = ControlState()
    for offset, command in enumerate(commands):
        state.take(command, offset)
    return state


def revoked(*ids: str, **what: object) -> ControlState:
    return said(Command("revoke", what={"ids": list(ids), **what}, by="ann", at=1.0))


def paused(queue: str, do: str = "pause") -> ControlState:
    return said(Command(do, what={"queue": queue}, by="ann", at=1.0))


# ── considered and admitted ───────────────────────────────────────────────────────────────────


async def test_a_delivery_goes_to_an_executor_with_room() -> None:
    async with a_worker() as worker:
        await worker.runs("low", "a", "b", headers={names.ATTEMPT: 2})

        assert worker.executor.ids() == ["a", "b"]
        _, _, queue, task, body, attempt, redelivered, *_ = next(iter(worker.executor.got.values()))
        assert (queue, task, body, attempt, redelivered) == ("low", "shop.thread", b"{}", 2, False)


async def test_threads_and_coroutines_have_room_of_their_own() -> None:
    async with a_worker(concurrency=1, async_concurrency=1) as worker:
        await worker.runs("low", "thread")
        worker.deliver("low", "waits")
        await worker.runs("low", "loop", type="shop.loop")

        assert set(worker.running()) == {"thread", "loop"}


async def test_queues_are_served_by_their_order() -> None:
    async with a_worker(concurrency=1) as worker:
        await worker.runs("high", "first")
        worker.deliver("low", "low")
        worker.deliver("high", "high")
        worker.executor.report("first", Success(0.1))
        await auntil(lambda: worker.running() == ["high"], worker.running)


async def test_a_message_without_an_id_is_given_one() -> None:
    async with a_worker() as worker:
        worker.deliver("low", "", message_id=None)
        await auntil(lambda: worker.running() and worker.running()[0], worker.running)


async def test_what_must_not_run_is_dead_lettered_before_it_is_acked() -> None:
    async with a_worker() as worker:
        unknown = worker.deliver("low", "a", type=None)
        expired = worker.deliver("low", "b", headers={names.EXPIRES_AT: 1})
        await worker.settled(unknown, expired)

        assert worker.running() == []
        letters = {one.message_id: one for one in worker.published}
        assert {one.routing_key for one in letters.values()} == {"low.dlq"}
        assert letters["a"].headers[names.ERROR_REASON] == Reason.INVALID_MESSAGE.value
        assert letters["b"].headers[names.ERROR_REASON] == Reason.EXPIRED.value


async def test_a_message_whose_workers_keep_dying_moves_to_the_suspects_queue() -> None:
    async with a_worker() as worker:
        suspect = worker.deliver("low", "a", redelivered=True, headers={"x-delivery-count": 2})
        await worker.settled(suspect)

        assert [one.routing_key for one in worker.published] == ["low.suspects"]
        assert worker.running() == []


async def test_a_suspect_runs_in_a_process_of_its_own() -> None:
    async with a_worker() as worker:
        await worker.runs("low.suspects", "a")
        assert worker.where("a") in worker.isolated
        message = await worker.runs("low", "b")
        assert worker.where("b") is worker.executor
        worker.where("a").report("a", Success(0.1))
        worker.executor.report("b", Success(0.1))
        await worker.settled(*message)


async def test_a_suspect_with_a_count_that_comes_among_others_waits_for_them() -> None:
    async with a_worker() as worker:
        await worker.runs("low.suspects", "a")
        await auntil(lambda: worker.prefetch("low.suspects") not in (None, 1), "it takes more")
        other = worker.deliver(
            "low.suspects", "b", redelivered=True, headers={"x-delivery-count": 1}
        )
        await worker.settled(other, by="nack")
        assert not worker.consumes("low.suspects")
        assert worker.running() == ["a"]

        worker.where("a").report("a", Success(0.1))
        await auntil(lambda: worker.consumes("low.suspects"), "it takes suspects again")


async def test_an_isolated_task_runs_in_a_process_of_its_own_which_leaves_after_it() -> None:
    async with a_worker() as worker:
        [message] = await worker.runs("low", "a", type="shop.isolated")
        process = worker.where("a")
        assert process in worker.isolated

        process.report("a", Success(0.1))
        await worker.settled(message)
        await auntil(lambda: ("exit",) in process.told, lambda: process.told)


async def test_a_queue_whose_tasks_keep_failing_is_tried_one_message_at_a_time() -> None:
    async with a_worker() as worker:
        await worker.runs("guarded", "a", "b")
        for one in ("a", "b"):
            worker.executor.report(one, FAILURE)
        await auntil(lambda: not worker.consumes("guarded"), "its kill switch has tripped")
        await auntil(lambda: worker.consumes("guarded"), "it is tried again")

        await worker.runs("guarded", "c")
        worker.deliver("guarded", "d")
        await turns(20)
        assert worker.running() == ["c"]
        worker.executor.report("c", Success(0.1))
        await auntil(lambda: worker.running() == ["d"], worker.running)


async def test_the_messages_of_a_partition_run_one_by_one() -> None:
    async with a_worker() as worker:
        [first] = await worker.runs("orders.0", "a", type="shop.step")
        second = worker.deliver("orders.0", "b", type="shop.step")
        await worker.runs("orders.1", "c", type="shop.step")
        assert worker.running() == ["a", "c"]

        worker.executor.report("a", Success(0.1))
        await worker.settled(first)
        await auntil(lambda: "b" in worker.running(), worker.running)
        worker.executor.report("b", Success(0.1))
        await worker.settled(second)


async def test_an_attempt_more_in_a_partition_keeps_its_delivery() -> None:
    async with a_worker() as worker:
        [message] = await worker.runs("orders.0", "a", type="shop.step")
        worker.executor.report("a", RETRY)
        await auntil(lambda: worker.running() == ["a"], worker.running)

        assert worker.executor.got[worker.executor.number("a")][5] == 2
        assert HISTORY in worker.executor.got[worker.executor.number("a")][8]
        assert worker.published == []
        worker.executor.report("a", Success(0.1))
        await worker.settled(message)


# ── revoked, and paused ───────────────────────────────────────────────────────────────────────


async def test_what_waits_and_is_revoked_is_dead_lettered() -> None:
    async with a_worker(concurrency=1) as worker:
        await worker.runs("low", "runs")
        waits = worker.deliver("low", "waits")
        await turns()
        worker.worker.control.adopt(revoked("waits"))
        await worker.settled(waits)
        assert worker.published[0].headers[names.ERROR_REASON] == Reason.REVOKED.value

        later = worker.deliver("low", "waits")
        await worker.settled(later)
        assert worker.running() == ["runs"]


async def test_what_waits_goes_back_when_its_queue_is_paused() -> None:
    async with a_worker(concurrency=1) as worker:
        await worker.runs("low", "runs")
        waits = worker.deliver("low", "waits")
        await turns()
        worker.worker.control.adopt(paused("low"))
        await worker.settled(waits, by="nack")
        assert not worker.consumes("low")
        assert worker.running() == ["runs"]


async def test_what_an_executor_has_not_started_goes_back_when_its_queue_is_paused() -> None:
    async with a_worker() as worker:
        worker.executor.starts = False
        [message] = await worker.runs("low", "a")
        worker.worker.control.adopt(paused("low"))
        await worker.settled(message, by="nack")
        assert worker.running() == []


async def test_a_paused_partition_goes_back_and_comes_again() -> None:
    async with a_worker(concurrency=1) as worker:
        await worker.runs("low", "runs")
        waits = worker.deliver("orders.0", "a", type="shop.step")
        await turns()
        worker.worker.control.adopt(paused("orders"))
        await worker.settled(waits, by="nack")
        worker.worker.control.adopt(paused("orders", "resume"))
        await auntil(lambda: worker.consumes("orders.0"), "it is consumed again")


# ── recalled, after a channel was lost ────────────────────────────────────────────────────────


async def test_a_redelivery_adopts_the_run_that_goes_on() -> None:
    async with a_worker() as worker:
        await worker.runs("low", "a")
        await worker.lose()
        again = worker.deliver("low", "a", redelivered=True)
        await turns()
        assert worker.running() == ["a"]

        worker.executor.report("a", Success(0.1))
        await worker.settled(again)
        assert len(worker.template.forked) == 1


async def test_a_redelivery_of_what_was_done_is_settled_and_does_not_run() -> None:
    async with a_worker() as worker:
        await worker.runs("low", "a")
        await worker.lose()
        worker.executor.report("a", RETRY)
        await turns()
        assert worker.published == []  # not before it can be settled

        again = worker.deliver("low", "a", redelivered=True)
        await worker.settled(again)
        assert worker.running() == []
        assert [one.headers[names.ATTEMPT] for one in worker.published] == [2]


async def test_an_ack_that_may_be_lost_is_given_again() -> None:
    async with a_worker() as worker:
        [message] = await worker.runs("low", "a")
        worker.executor.report("a", Success(0.1))
        await worker.settled(message)
        await worker.lose()
        again = worker.deliver("low", "a", redelivered=True)
        await worker.settled(again)
        assert worker.running() == []


async def test_a_message_of_the_same_id_that_was_not_delivered_before_runs() -> None:
    async with a_worker() as worker:
        [message] = await worker.runs("low", "a")
        worker.executor.report("a", Success(0.1))
        await worker.settled(message)
        await worker.lose()
        await worker.runs("low", "a")


async def test_what_waits_is_forgotten_with_its_channel() -> None:
    async with a_worker(concurrency=1) as worker:
        await worker.runs("low", "runs")
        worker.deliver("low", "waits")
        await turns()
        await worker.lose()
        worker.executor.report("runs", Success(0.1))
        await turns(20)
        assert worker.running() == []

        await worker.runs("low", "waits", redelivered=True)


async def test_a_suspect_that_waits_is_forgotten_with_its_channel() -> None:
    async with a_worker() as worker:
        worker.template.alive = False  # no process for it, now
        worker.deliver("low.suspects", "a")
        await turns()
        await worker.lose()
        worker.template.alive = True
        await worker.runs("low.suspects", "a", redelivered=True)
        assert worker.running() == ["a"]


async def test_a_wait_in_a_partition_goes_on_with_the_redelivery() -> None:
    async with a_worker() as worker:
        await worker.runs("orders.0", "a", type="shop.step")
        worker.executor.report("a", RETRY.__class__(0.1, 60.0, True, RETRY.evidence))
        await turns()
        await worker.lose()
        again = worker.deliver("orders.0", "a", type="shop.step", redelivered=True)
        await turns()
        assert worker.running() == []  # its next attempt is not due
        assert await worker.shut_down() == 0
        await worker.settled(again, by="nack")


async def test_a_consequence_that_is_under_way_is_acked_by_the_redelivery() -> None:
    connector = FakeConnector(answer=None)
    async with a_worker(connector) as worker:
        await worker.runs("low", "a")
        worker.executor.report("a", RETRY)
        await auntil(lambda: len(worker.published) == 1, "it is published")
        await worker.lose()
        again = worker.deliver("low", "a", redelivered=True)
        await turns()
        assert worker.running() == []
        worker.publishing.settle(Verdict.CONFIRMED)
        await worker.settled(again)
        assert len(worker.published) == 1
