"""Workflows in executors: many calls in one message, and tasks that are replaced."""

from __future__ import annotations

import json

from rmqwork import Context, Depends, Retry, TaskMessage
from rmqwork._messages import headers as names
from rmqwork._tasks.run_plan import Prepared
from rmqwork.types import Failure, Reason, RetryOutcome, Success


class Resize(TaskMessage, name="images.resize", version=2):
    width: int


EACH = {names.EACH: "map"}


def items(*bodies):
    return json.dumps({"items": list(bodies)}).encode()


def run(app, message):
    prepared = app.runner().prepare(message)
    assert isinstance(prepared, Prepared), prepared
    return app.runner().run(prepared)


def test_one_message_runs_a_task_for_each_of_its_items(app, delivery):
    opened = []

    def session():
        opened.append(1)
        yield 10
        opened.append(-1)

    @app.task
    def add(x: int, y: int = 5) -> int:
        return x + y

    @app.task
    def with_session(ctx: Context, x: int, ten: int = Depends(session)) -> int:
        assert ctx.task_id == "id-1"
        return x + ten

    @app.task
    def resize(message: Resize) -> Resize:
        return message

    def value(task, *bodies, **more):
        headers = {**EACH, **more}
        message = delivery(task, items(*bodies), headers=headers, extras={"value": True})
        outcome = run(app, message)
        assert isinstance(outcome, Success), outcome
        return json.loads(outcome.result)["result"]

    assert value("shop.add", {"x": 1, "y": 2}, {"x": 3}) == [3, 8]
    assert value("shop.add") == []
    assert value("shop.with_session", {"x": 1}, {"x": 2}) == [11, 12]
    assert opened == [1, -1, 1, -1]  # dependencies are those of each call
    assert value("images.resize", {"width": 3}, **{names.VERSION: 2}) == [{"width": 3}]


async def test_coroutines_too(app, delivery):
    @app.task
    async def add(ctx: Context, x: int) -> int:
        return x + 1

    @app.task
    async def plain(x: int) -> int:
        return x + 2

    runner = app.runner()
    for task, wanted in (("shop.add", [2, 3]), ("shop.plain", [3, 4])):
        body = items({"x": 1}, {"x": 2})
        prepared = runner.prepare(delivery(task, body, headers=EACH, extras={"reply": True}))
        outcome = await runner.arun(prepared)
        assert json.loads(outcome.result)["result"] == wanted


def test_a_bad_item_or_a_bad_list_is_an_invalid_message(app, delivery):
    @app.task
    def add(x: int) -> int:
        return x

    for body, says in [
        (items({"x": 1}, {"x": "?"}), "call 1: x: "),
        (b"{}", "no list of calls"),
        (b'{"items":3}', "no list of calls"),
        (b"[", "no list of calls"),
    ]:
        outcome = app.runner().prepare(delivery("shop.add", body, headers=EACH))
        assert isinstance(outcome, Failure)
        assert outcome.reason is Reason.INVALID_MESSAGE
        assert says in outcome.evidence.message


def test_one_failed_call_fails_the_message(app, delivery):
    @app.task(retry=Retry(max_attempts=2, wait=1))
    def picky(x: int) -> int:
        if x == 2:
            raise ValueError("not 2")
        return x

    outcome = run(app, delivery("shop.picky", items({"x": 1}, {"x": 2}), headers=EACH))
    assert isinstance(outcome, RetryOutcome)
