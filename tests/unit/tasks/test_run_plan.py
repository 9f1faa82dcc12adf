from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from rmqwork import Context, Depends, Retry, TaskMessage
from rmqwork._tasks.run_plan import Prepared, RunPlan, run_plan


class Resize(TaskMessage, name="images.resize"):
    width: int


def plan_of(
    task: Any,
    policy: Retry | None = None,
    *,
    watched: bool = False,
    kept: bool = False,
    tracked: bool = False,
) -> RunPlan:
    return run_plan(task, policy, watched=watched, kept=kept, tracked=tracked, max_size=1000)


def call(plan: RunPlan, body: bytes) -> Any:
    """Run a body as an executor does it."""
    prepared = Prepared(plan, plan.load(body, 1), None, 1, None)
    return plan.function(*prepared.args, **prepared.kwargs)


def test_a_message_is_the_one_argument(app):
    @app.task
    def resize(message: Resize) -> int:
        return message.width

    assert call(plan_of(resize), b'{"width":5}') == 5


def test_positional_only_parameters_keep_their_defaults(app):
    @app.task
    def add(x: int = 1, y: int = 2, z: int = 3, /, w: int = 4) -> tuple[int, ...]:
        return x, y, z, w

    assert call(plan_of(add), b'{"y":5,"w":6}') == (1, 5, 3, 6)


def test_a_mutable_default_is_new_for_each_run(app):
    @app.task
    def collect(
        x: int,
        /,
        into: list[int] = [],  # noqa: B006
        *,
        by: dict[str, int] = {},  # noqa: B006
    ) -> tuple[list[int], Mapping[str, int]]:
        into.append(x)
        by[str(x)] = x
        return into, by

    plan = plan_of(collect)
    assert [call(plan, b'{"x":1}'), call(plan, b'{"x":2}')] == [([1], {"1": 1}), ([2], {"2": 2})]


@pytest.mark.parametrize(
    ("wanted", "direct"),
    [({}, True), ({"kept": True}, True), ({"watched": True}, False), ({"tracked": True}, False)],
)
def test_a_run_that_is_watched_or_tracked_has_a_context(app, wanted, direct):
    @app.task
    def add(x: int) -> int:
        return x

    assert plan_of(add, **wanted).direct is direct


def test_a_function_with_what_is_injected_is_not_called_directly(app):
    @app.task
    def with_context(ctx: Context, x: int) -> int:
        return x

    @app.task
    def with_dependency(x: int, it: str = Depends(lambda: "it")) -> str:
        return it

    assert not plan_of(with_context).direct
    assert not plan_of(with_dependency).direct


def test_nobody_keeps_or_tracks_results_that_are_ignored(app):
    @app.task(ignore_result=True)
    def add(x: int) -> int:
        return x

    plan = plan_of(add, kept=True, tracked=True)

    assert (plan.kept, plan.tracked, plan.direct) == (False, False, True)


def test_attempts_are_those_of_the_policy(app):
    @app.task
    def add(x: int) -> int:
        return x

    assert plan_of(add).max_attempts == 1
    assert plan_of(add, Retry(max_attempts=7)).max_attempts == 7


def test_seconds_since_the_publish_are_never_negative(app):
    @app.task
    def add(x: int) -> int:
        return x

    plan = plan_of(add)
    assert Prepared(plan, {"x": 1}, None, 1, None).elapsed is None
    assert Prepared(plan, {"x": 1}, None, 1, 4e9).elapsed == 0
    assert (Prepared(plan, {"x": 1}, None, 1, 0).elapsed or 0) > 1e9
