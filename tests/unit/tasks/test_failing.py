"""How runs end that did not simply succeed."""

from __future__ import annotations

import json

import pytest

from rmqwork import Context, Retry, group
from rmqwork._tasks.run_plan import Prepared
from rmqwork.types import (
    Failure,
    Reason,
    Reject,
    Replace,
    Replaced,
    RetryLater,
    RetryOutcome,
    TimeLimitReached,
)


def run(app, message):
    prepared = app.runner().prepare(message)
    assert isinstance(prepared, Prepared), prepared
    return app.runner().run(prepared)


def test_a_task_is_replaced_by_a_workflow_that_ends_with_its_id(app, delivery):
    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    @app.task
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    @app.task
    def fan_out(ctx: Context, n: int) -> int:
        return ctx.replace(group(add.s(k, 1) for k in range(n)) | total.s())

    outcome = run(app, delivery("shop.fan_out", b'{"n":3}', task_id="mine"))
    assert isinstance(outcome, Replaced)
    several, last = json.loads(outcome.node)["chain"]
    assert (len(several["group"]), last["task"], last["id"]) == (3, "shop.total", "mine")


@pytest.mark.parametrize("policy", [None, Retry(max_attempts=3, wait=1)])
def test_a_replacement_that_cannot_be_is_a_failure_that_says_so(app, delivery, policy):
    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    @app.task(retry=policy)
    def wrong(ctx: Context, how: str) -> list[int]:
        made = {
            "group": lambda: group(add.s(1, 1)),
            "open": lambda: add.s(1),
            "invalid": lambda: add.s(1, "x"),
        }
        return ctx.replace(made[how]())

    for how, says in [("group", "of no task"), ("open", "complete"), ("invalid", "y: ")]:
        outcome = run(app, delivery("shop.wrong", json.dumps({"how": how}).encode()))
        assert isinstance(outcome, Failure if policy is None else RetryOutcome)
        assert says in outcome.evidence.message


async def test_coroutines_are_replaced_too(app, delivery):
    @app.task
    async def countdown(ctx: Context, n: int) -> int:
        return n if n == 0 else ctx.replace(countdown.s(n - 1))

    runner = app.runner()
    outcome = await runner.arun(runner.prepare(delivery("shop.countdown", b'{"n":3}')))
    assert isinstance(outcome, Replaced)
    assert json.loads(outcome.node)["body"] == {"n": 2}


class Fatal(Exception):
    """Not worth another try."""


def group_of(*errors):
    return BaseExceptionGroup("several", errors)


@pytest.mark.parametrize(
    ("raised", "comes_to"),
    [
        (group_of(Reject("closed"), ValueError()), "rejected"),
        (group_of(ValueError(), group_of(RetryLater(7), group_of(Reject("closed")))), "rejected"),
        (group_of(ValueError(), RetryLater(7)), "retry in 7"),
        (group_of(Fatal(), group_of(RetryLater(7))), "retry in 7"),
        (group_of(ValueError(), KeyboardInterrupt()), "retry in 1"),
        (group_of(ValueError(), group_of(Fatal())), "given up"),
        (Reject("closed"), "rejected"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("is_async", [False, True])
async def test_a_group_comes_to_what_its_leaves_say(app, delivery, raised, comes_to, is_async):
    if is_async:

        @app.task(name="several", retry=Retry(wait=1, give_up_on=Fatal))
        async def acoroutine() -> None:
            raise raised
    else:

        @app.task(name="several", retry=Retry(wait=1, give_up_on=Fatal))
        def in_a_thread() -> None:
            raise raised

    prepared = app.runner().prepare(delivery("several", b"{}"))
    runner = app.runner()
    outcome = await runner.arun(prepared) if is_async else runner.run(prepared)

    match outcome:
        case Failure(reason=Reason.REJECTED):
            assert outcome.evidence.message == "closed"
            found = "rejected"
        case Failure():
            assert outcome.evidence.type == "ExceptionGroup"
            found = "given up"
        case RetryOutcome():
            found = f"retry in {outcome.delay:g}"
        case _:
            found = repr(outcome)
    assert found == comes_to


def test_a_replacement_in_a_group_holds_where_nothing_else_was_raised(app, delivery):
    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    @app.task
    def several(ctx: Context, how: str) -> None:
        replaces = Replace(add.s(1, 2), ctx.task_id)
        others = {"one": [], "two": [replaces], "error": [ValueError("no")]}[how]
        raise BaseExceptionGroup("several", [BaseExceptionGroup("inner", [replaces]), *others])

    assert isinstance(run(app, delivery("shop.several", b'{"how":"one"}')), Replaced)
    two = run(app, delivery("shop.several", b'{"how":"two"}'))
    assert isinstance(two, Failure)
    assert "only one can" in two.evidence.message
    assert isinstance(run(app, delivery("shop.several", b'{"how":"error"}')), Failure)


def test_a_time_limit_in_a_group_is_one(app, delivery):
    @app.task
    def slow() -> None:
        raise BaseExceptionGroup("of asyncio.run", [TimeLimitReached()])

    with pytest.raises(TimeLimitReached):
        run(app, delivery("shop.slow", b"{}"))
