"""``map`` and ``starmap`` in an executor: one message that runs a task for each of its items.

An item whose run ends by ``ctx.replace`` does not end the others. What it has put in its place runs
as a member of a group then, and a last message of the map **gathers** the values of all items.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pydantic_core import from_json, to_json

from rmqwork._results.record import read, value_of
from rmqwork._results.writing import ResultEncoder
from rmqwork._tasks.context import Context
from rmqwork._tasks.replacing import ReplaceItems
from rmqwork._tasks.run_plan import NO_ARGUMENTS, CallArguments, RunPlan
from rmqwork.errors import InvalidMessage
from rmqwork.types import Replace


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


def plan_of_gathered(plan: RunPlan) -> RunPlan:
    """The plan of a task for the end of a map some of whose items had something in their places:
    ``{"known": […values…], "at": […indices…], "values": […values at these…]}``.

    Args:
        plan: of one call.
    """
    return replace(
        plan,
        load=_gather,
        arguments=lambda value: ((value,), NO_ARGUMENTS),
        function=_agathered if plan.is_async else _gathered,
        direct=True,
        answers=_AsItIs(plan.answers_each),
    )


def _gather(body: bytes, version: int) -> bytes:
    """The JSON of all values, in the order of their items."""
    try:
        found = json.loads(body)
        values = dict(zip(found["at"], found["values"], strict=True))
        known = iter(found["known"])
        size = len(values) + len(found["known"])
        text = json.dumps([values[n] if n in values else next(known) for n in range(size)])
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise InvalidMessage(f"this is no end of a map: {error!r}") from error
    return text.encode()


def _gathered(values: bytes) -> bytes:
    return values


async def _agathered(values: bytes) -> bytes:
    return values


class _AsItIs(ResultEncoder):
    """Makes the record of values that are JSON already.

    Args:
        like: makes those of values.
    """

    def __init__(self, like: ResultEncoder) -> None:
        vars(self).update(vars(like))

    def encode(self, value: Any) -> bytes:
        """``{"result":…}``."""
        return b'{"result":%b}' % value


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
        self._answers = plan.answers
        self.injects = plan.invoke.injects

    def arguments(self, values: list[Any]) -> CallArguments:
        """The one argument of all verbs of this class: the arguments of each call."""
        return ([self._arguments_of_one(one) for one in values],), NO_ARGUMENTS

    def run(self, ctx: Context, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Any]:
        """Call a sync function with what is injected."""
        values: list[Any] = []
        for one, named in args[0]:
            try:
                values.append(self._invoke.run(ctx, one, named))
            except Replace as error:
                values.append(error)
        return self._replaced(ctx, values)

    async def arun(
        self, ctx: Context, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> list[Any]:
        """`run` for an async function."""
        values: list[Any] = []
        for one, named in args[0]:
            try:
                values.append(await self._invoke.arun(ctx, one, named))
            except Replace as error:
                values.append(error)
        return self._replaced(ctx, values)

    def _replaced(self, ctx: Context, values: list[Any]) -> list[Any]:
        """The values, if no item has put something in its place.

        Raises:
            ReplaceItems: one has.
            ValueError: the value of another one cannot be kept until that has run.
        """
        if not any(isinstance(value, Replace) for value in values):
            return values
        raise ReplaceItems(
            ctx.task_id,
            [one if isinstance(one, Replace) else self._kept(one) for one in values],
        )

    def _kept(self, value: object) -> bytes:
        body = self._answers.record(value)
        found = value_of(body)
        if found is None:
            raise ValueError(read(body).evidence.message)
        return found

    def call(self, calls: list[CallArguments]) -> list[Any]:
        """Call a sync function directly."""
        return [self._function(*args, **kwargs) for args, kwargs in calls]

    async def acall(self, calls: list[CallArguments]) -> list[Any]:
        """`call` for an async function."""
        return [await self._function(*args, **kwargs) for args, kwargs in calls]
