"""``map`` and ``starmap`` in an executor: one message that runs a task for each of its items."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pydantic_core import from_json, to_json

from rmqwork._tasks.context import Context
from rmqwork._tasks.run_plan import NO_ARGUMENTS, CallArguments, RunPlan
from rmqwork.errors import InvalidMessage


def plan_of_each(plan: RunPlan) -> RunPlan:
    """The plan of a task for messages with many calls: ``{"items": [{…arguments…}, …]}``.

    The time limit and the attempts are those of the whole message; dependencies are made and ended
    for each call.

    Args:
        plan: of one call.
    """
    calls = _Calls(plan)
    return replace(
        plan,
        load=_loading(plan.load),
        arguments=calls.arguments,
        function=calls.acall if plan.is_async else calls.call,
        invoke=calls,
        answers=plan.answers_each,
    )


def _loading(load_one: Callable[[bytes, int], Any]) -> Callable[[bytes, int], list[Any]]:
    """What reads the body of many calls, given what reads that of one."""

    def load(body: bytes, version: int) -> list[Any]:
        try:
            items = from_json(body)["items"]
            texts = [to_json(item) for item in items]
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidMessage(
                'this is no list of calls, such as {"items": [{"x": 1}, {"x": 2}]}'
            ) from error
        found = []
        for at, text in enumerate(texts):
            try:
                found.append(load_one(text, version))
            except InvalidMessage as error:
                raise InvalidMessage(f"call {at}: {error}") from error
        return found

    return load


class _Calls:
    """Calls a task's function once for each of many arguments.

    Args:
        plan: of one call.
    """

    def __init__(self, plan: RunPlan) -> None:
        self._arguments_of_one = plan.arguments
        self._function = plan.function
        self._invoke = plan.invoke
        self.injects = plan.invoke.injects

    def arguments(self, values: list[Any]) -> CallArguments:
        """The one argument of all verbs of this class: the arguments of each call."""
        return ([self._arguments_of_one(one) for one in values],), NO_ARGUMENTS

    def run(self, ctx: Context, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Any]:
        """Call a sync function with what is injected."""
        return [self._invoke.run(ctx, one, named) for one, named in args[0]]

    async def arun(
        self, ctx: Context, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> list[Any]:
        """`run` for an async function."""
        return [await self._invoke.arun(ctx, one, named) for one, named in args[0]]

    def call(self, calls: list[CallArguments]) -> list[Any]:
        """Call a sync function directly."""
        return [self._function(*args, **kwargs) for args, kwargs in calls]

    async def acall(self, calls: list[CallArguments]) -> list[Any]:
        """`call` for an async function."""
        return [await self._function(*args, **kwargs) for args, kwargs in calls]
