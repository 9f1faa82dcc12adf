"""Outcomes of deliveries: reported, finished, given back; and what dead executors leave."""

from __future__ import annotations

from rmqwork._control.control_state import ControlState
from rmqwork._control.wire import Command
from rmqwork._messages import headers as names
from rmqwork._topology.topology import RETURN_EXCHANGE
from rmqwork.types import Reason, Replaced, Success, Verdict
from tests.unit.fakes import FakeConnector
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


async def test_prefetch_grows_with_what_is_done() -> None:
    async with a_worker(prefetch=None, concurrency=2) as worker:
        first = worker.worker.consumption.prefetch("low")
        for number in range(200):
            worker.deliver("low", str(number))
        for number in range(200):
            await auntil(lambda n=str(number): n in worker.running())  # type: ignore[misc]
            worker.executor.report(str(number), Success(0.0001))
        await auntil(lambda: worker.worker.consumption.prefetch("low") > first, "it has grown")
