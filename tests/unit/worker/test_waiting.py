"""Deliveries that have not run: given to another executor, back to their queue, or up."""

from __future__ import annotations

from rmqwork._control.control_state import ControlState
from rmqwork._control.wire import Command
from rmqwork._messages import headers as names
from rmqwork._topology.topology import RETURN_EXCHANGE
from rmqwork.types import Reason, Success
from tests.unit.fakes import FakeConnector, turns
from tests.unit.worker.harness import a_worker
from tests.waiting import auntil


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
