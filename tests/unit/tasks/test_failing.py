"""How runs end that did not simply succeed."""

from __future__ import annotations

import json

import pytest

from rmqwork import Context, Retry, group
from rmqwork._tasks.run_plan import Prepared
from rmqwork.types import Failure, Replaced, RetryOutcome


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
