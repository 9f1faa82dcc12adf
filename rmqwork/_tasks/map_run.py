"""``map`` and ``starmap`` in an executor: one message that runs a task for each of its items."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import from_json, to_json

from rmqwork._tasks.context import Context
from rmqwork._tasks.execution import RunPlan
from rmqwork.errors import InvalidMessage


class EachPlan(RunPlan):
    """The plan of a task for messages with many calls: ``{"items": [{…arguments…}, …]}``.

    The time limit and the attempts are those of the whole message; dependencies are made and ended
    for each call.

    Args:
        plan: of one call.
    """

    __slots__ = ("_load_one", "_one")

    def __init__(self, plan: RunPlan) -> None:
        for name in RunPlan.__slots__:
            setattr(self, name, getattr(plan, name))
        self._one = plan
        self._load_one: Callable[[bytes, int], Any] = plan.load
        self.load = self._load
        self.answers = plan.answers_each
        call = _EachCall(plan)
        self.call = call  # type: ignore[assignment]
        self.function = call.here

    def arguments(self, value: Any) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """The one argument of `_EachCall`: the arguments of each call."""
        return ([self._one.arguments(one) for one in value],), {}

    def _load(self, body: bytes, version: int) -> list[Any]:
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
                found.append(self._load_one(text, version))
            except InvalidMessage as error:
                raise InvalidMessage(f"call {at}: {error}") from error
        return found


class _EachCall:
    """Calls a task's function once for each of many arguments."""

    def __init__(self, plan: RunPlan) -> None:
        self._call = plan.call
        self._function = plan.function
        self.injects = plan.call.injects
        self.here = self._ahere if plan.is_async else self._here

    def run(self, ctx: Context, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Any]:
        return [self._call.run(ctx, one, named) for one, named in args[0]]

    async def arun(
        self, ctx: Context, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> list[Any]:
        return [await self._call.arun(ctx, one, named) for one, named in args[0]]

    def _here(self, calls: Any) -> list[Any]:
        return [self._function(*args, **kwargs) for args, kwargs in calls]

    async def _ahere(self, calls: Any) -> list[Any]:
        return [await self._function(*args, **kwargs) for args, kwargs in calls]
