"""The lifespan in an executor: entered and left in one place, and what it leaves to runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar, copy_context

import anyio
import pytest

from rmqwork._executor.entered_lifespan import EnteredLifespan
from rmqwork._executor.loop_runner import LoopRunner

tenant: ContextVar[str] = ContextVar("tenant", default="none")


@pytest.fixture(params=["here", "thread"])
def loops(request: pytest.FixtureRequest) -> Iterator[LoopRunner]:
    loop = asyncio.new_event_loop()
    runner = LoopRunner(loop, lambda error: None)
    if request.param == "thread":
        runner.start_thread()
    yield runner
    runner.stop()
    loop.close()


def entered(manager, loops: LoopRunner) -> tuple[EnteredLifespan, object, list[object]]:
    early: list[object] = []
    lifespan = EnteredLifespan(manager, loops, early.append)
    return lifespan, lifespan.enter(), early


def test_an_async_one_is_left_in_the_task_that_entered_it(loops: LoopRunner) -> None:
    left: list[bool] = []

    @asynccontextmanager
    async def with_a_group() -> AsyncIterator[str]:
        task, token = asyncio.current_task(), tenant.set("acme")
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            yield "state"
            group.cancel_scope.cancel()
        tenant.reset(token)
        left.append(asyncio.current_task() is task)

    lifespan, state, early = entered(with_a_group(), loops)
    assert state == "state"
    assert lifespan.context[tenant] == "acme"
    assert copy_context().get(tenant) is None

    lifespan.leave()
    assert left == [True]
    assert early == []


def test_a_sync_one_leaves_its_context_too(loops: LoopRunner) -> None:
    @contextmanager
    def sync() -> Iterator[None]:
        token = tenant.set("acme")
        yield
        tenant.reset(token)

    lifespan, _, _ = entered(sync(), loops)
    assert lifespan.context[tenant] == "acme"
    lifespan.leave()
    assert tenant.get() == "none"


def test_none_is_none(loops: LoopRunner) -> None:
    lifespan, state, _ = entered(None, loops)
    assert state is None
    lifespan.leave()


@pytest.mark.parametrize("error", [ValueError("no database"), SystemExit(4)])
def test_what_it_raises_at_either_end_is_raised(loops: LoopRunner, error: BaseException) -> None:
    @asynccontextmanager
    async def fails(at_once: bool) -> AsyncIterator[None]:
        if at_once:
            raise error
        yield
        raise error

    with pytest.raises(type(error)):
        entered(fails(True), loops)
    lifespan, _, early = entered(fails(False), loops)
    with pytest.raises(type(error)):
        lifespan.leave()
    assert early == []


def test_its_early_end_is_told_and_not_told_again(loops: LoopRunner) -> None:
    broken = asyncio.Event()

    @asynccontextmanager
    async def whose_child_breaks() -> AsyncIterator[None]:
        async def child() -> None:
            await broken.wait()
            raise ValueError("lost the database")

        async with anyio.create_task_group() as group:
            group.start_soon(child)
            yield

    lifespan, _, early = entered(whose_child_breaks(), loops)

    async def breaks() -> None:
        broken.set()
        while not early:
            await asyncio.sleep(0.001)

    loops.run(asyncio.wait_for(breaks(), 10))
    assert "lost the database" in repr(early)
    lifespan.leave()
