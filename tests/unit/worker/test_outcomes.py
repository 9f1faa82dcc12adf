"""Outcomes of deliveries: reported, finished, given back; and what dead executors leave."""

from __future__ import annotations

from rmqwork._control.control_state import ControlState
from rmqwork._control.wire import Command
from rmqwork._messages import headers as names
from rmqwork._topology.topology import RETURN_EXCHANGE
from rmqwork._worker.ipc.death import Death
from rmqwork._worker.ipc.wire import publication_tuple
from rmqwork.types import Reason, Replaced, Success, Verdict
from tests.unit.fakes import FakeConnector, publication, turns
from tests.unit.worker.harness import FAILURE, RETRY, a_worker
from tests.waiting import auntil


async def test_a_success_is_acked() -> None:
    async with a_worker() as worker:
        messages = await worker.runs("low", "a", "b")
        worker.executor.report("b", Success(0.1))
        worker.executor.report("a", Success(0.1))
        await worker.settled(*messages)
        assert worker.published == []


async def test_a_reply_is_confirmed_before_the_ack() -> None:
    connector = FakeConnector(answer=None)
    async with a_worker(connector) as worker:
        [message] = await worker.runs("low", "a", reply_to="amq.reply", correlation_id="c")
        worker.executor.report("a", Success(0.1, b"42"))
        await auntil(lambda: worker.published, "it is published")
        assert worker.channel("low").log == []

        worker.publishing.settle(Verdict.CONFIRMED)
        await worker.settled(message)
        [answer] = worker.published
        assert (answer.routing_key, answer.body, answer.correlation_id) == ("amq.reply", b"42", "c")


async def test_another_attempt_is_confirmed_before_the_ack() -> None:
    async with a_worker() as worker:
        [message] = await worker.runs("low", "a")
        worker.executor.report("a", RETRY)
        await worker.settled(message)
        [again] = worker.published
        assert (again.exchange, again.routing_key) == (RETURN_EXCHANGE, "low")
        assert again.headers[names.ATTEMPT] == 2


async def test_a_failure_is_dead_lettered_before_the_ack() -> None:
    async with a_worker() as worker:
        [message] = await worker.runs("low", "a")
        worker.executor.report("a", FAILURE)
        await worker.settled(message)
        [letter] = worker.published
        assert letter.routing_key == "low.dlq"
        assert letter.headers[names.ERROR_REASON] == Reason.FAILED.value
        assert letter.headers[names.HOST] == "me"


async def test_a_replacement_that_cannot_be_read_is_a_failure() -> None:
    async with a_worker() as worker:
        [message] = await worker.runs("low", "a")
        worker.executor.report("a", Replaced(0.1, b"nonsense"))
        await worker.settled(message)
        assert [one.routing_key for one in worker.published] == ["low.dlq"]


async def test_a_consequence_that_is_refused_keeps_its_delivery_until_it_is_taken() -> None:
    connector = FakeConnector(answer=None)
    async with a_worker(connector) as worker:
        [message] = await worker.runs("low", "a")
        worker.executor.report("a", FAILURE)
        await auntil(lambda: worker.published, "it is published")
        worker.publishing.answer = Verdict.CONFIRMED
        worker.publishing.settle(Verdict.NACKED)
        assert worker.channel("low").log == []
        await worker.settled(message)
        assert len(worker.published) == 2


async def test_what_an_executor_gives_back_goes_to_another_run() -> None:
    async with a_worker() as worker:
        worker.executor.starts = False
        [message] = await worker.runs("low", "a")
        worker.executor.starts = True
        worker.executor.give_back([worker.executor.number("a")])
        await turns()
        await auntil(lambda: worker.running() == ["a"], worker.running)
        worker.executor.report("a", Success(0.1))
        await worker.settled(message)


async def test_what_is_given_back_and_was_revoked_is_dead_lettered() -> None:
    async with a_worker() as worker:
        worker.executor.starts = False
        [message] = await worker.runs("low", "a")
        state = ControlState()
        state.take(Command("revoke", what={"ids": ["a"]}, by="ann", at=1.0), 1)
        worker.worker.control.adopt(state)
        await worker.settled(message)
        assert worker.published[0].headers[names.ERROR_REASON] == Reason.REVOKED.value


async def test_a_coroutine_that_is_cancelled_because_it_was_revoked_is_dead_lettered() -> None:
    async with a_worker() as worker:
        [message] = await worker.runs("low", "a", type="shop.loop")
        state = ControlState()
        state.take(Command("revoke", what={"ids": ["a"]}, by="ann", at=1.0), 1)
        worker.worker.control.adopt(state)
        number = worker.executor.number("a")
        assert ("cancel", number, "revoked") in worker.executor.told
        worker.executor.cancelled("a")
        await worker.settled(message)
        assert worker.published[0].headers[names.ERROR_REASON] == Reason.REVOKED.value


async def test_a_coroutine_that_is_cancelled_for_no_reason_is_handed_back() -> None:
    async with a_worker() as worker:
        [message] = await worker.runs("low", "a", type="shop.loop")
        worker.executor.cancelled("a")
        await worker.settled(message, by="nack")


async def test_a_hand_back_that_would_count_is_a_publish_and_an_ack() -> None:
    connector = FakeConnector()
    connector.version = (4, 2, 0)
    async with a_worker(connector) as worker:
        [message] = await worker.runs(
            "low", "a", type="shop.loop", redelivered=True, headers={"x-delivery-count": 3}
        )
        worker.executor.cancelled("a")
        await worker.settled(message)
        [again] = worker.published
        assert (again.exchange, again.routing_key) == (RETURN_EXCHANGE, "low")
        assert again.headers.get(names.ATTEMPT, 1) == 1


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


async def test_prefetch_grows_with_what_is_done() -> None:
    async with a_worker(prefetch=None, concurrency=2) as worker:
        first = worker.worker.consumption.prefetch("low")
        for number in range(200):
            worker.deliver("low", str(number))
        for number in range(200):
            await auntil(lambda n=str(number): n in worker.running())  # type: ignore[misc]
            worker.executor.report(str(number), Success(0.0001))
        await auntil(lambda: worker.worker.consumption.prefetch("low") > first, "it has grown")
