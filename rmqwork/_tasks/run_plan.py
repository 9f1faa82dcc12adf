"""`RunPlan`: all that running a task needs, looked up once; `Prepared`: a delivery to be run."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from rmqwork._results.writing import ResultEncoder
from rmqwork._tasks.context import Context
from rmqwork._tasks.parameters import Parameters
from rmqwork._tasks.retry import Retry

if TYPE_CHECKING:
    from rmqwork._tasks.task import Task

CallArguments = tuple[tuple[Any, ...], Mapping[str, Any]]
"""Positional and named arguments of a function."""

NO_ARGUMENTS: Final[Mapping[str, Any]] = {}
_MUTABLE: Final = (list, dict, set, bytearray)


class Invoke(Protocol):
    """Calls a task's function with what is injected: its context and its dependencies."""

    @property
    def injects(self) -> bool:
        """True if the function cannot be called directly."""
        ...

    def run(self, ctx: Context, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Call a sync function."""
        ...

    async def arun(self, ctx: Context, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Call an async function."""
        ...


@dataclass(frozen=True, slots=True)
class RunPlan:
    """All that running a task needs.

    Args:
        name: the task's.
        load: reads a body of some version; raises `InvalidMessage` or `UnknownTask`.
        arguments: makes of what ``load`` returns the arguments of ``function``.
        function: as it is called if ``direct``.
        invoke: calls the function otherwise.
        is_async: True if the function is ``async def``.
        direct: True if a run needs no context: nothing is injected, and nobody watches.
        policy: its retry policy; None = one attempt.
        max_attempts: of the policy; None = only its ``stop`` says.
        time_limit: seconds after which a run is stopped; None = never.
        kept: True if its results go into a store.
        tracked: True if a result says that the task has started.
        answers: makes the records of its values.
        answers_each: makes the records of lists of its values.
    """

    name: str
    load: Callable[[bytes, int], Any]
    arguments: Callable[[Any], CallArguments]
    function: Callable[..., Any]
    invoke: Invoke
    is_async: bool
    direct: bool
    policy: Retry | None
    max_attempts: int | None
    time_limit: float | None
    kept: bool
    tracked: bool
    answers: ResultEncoder
    answers_each: ResultEncoder


def run_plan(
    task: Task[..., Any],
    policy: Retry | None,
    *,
    watched: bool,
    kept: bool,
    tracked: bool,
    max_size: int,
) -> RunPlan:
    """Make the plan of a task.

    Args:
        task: the task.
        policy: its retry policy; None = one attempt.
        watched: True if middleware wants to see its runs.
        kept: True if the app's results go into a store.
        tracked: True if the app's results say that a task has started.
        max_size: bytes of a result at most.
    """
    options = task.task_options
    tracked = tracked and not options.ignore_result
    return RunPlan(
        name=task.name,
        load=task.body.load,
        arguments=_Spread(task.parameters).arguments,
        function=task.function,
        invoke=task.call,
        is_async=task.parameters.is_async,
        direct=not (watched or tracked or task.call.injects),
        policy=policy,
        max_attempts=1 if policy is None else policy.max_attempts,
        time_limit=options.time_limit,
        kept=kept and not options.ignore_result,
        tracked=tracked,
        answers=ResultEncoder(task.name, lambda: task.values, max_size),
        answers_each=ResultEncoder(task.name, lambda: task.each, max_size, each=True),
    )


class _Spread:
    """Spreads a message, or arguments by name, over the parameters of a function.

    Args:
        parameters: of the function.
    """

    def __init__(self, parameters: Parameters) -> None:
        self._takes_message = parameters.message is not None
        self._positional = tuple(
            argument
            for argument in parameters.arguments
            if argument.kind is inspect.Parameter.POSITIONAL_ONLY
        )
        self._fresh = {
            argument.name: argument.default
            for argument in parameters.arguments
            if isinstance(argument.default, _MUTABLE)
        }

    def arguments(self, value: Any) -> CallArguments:
        """The arguments with which the function is to be called."""
        if self._takes_message:
            return (value,), NO_ARGUMENTS
        if self._fresh:  # a run must not find what an earlier one has left in a default
            value = {**deepcopy(self._fresh), **value}
        if not self._positional:
            return (), value
        left = dict(value)
        given = [argument.name in left for argument in self._positional]
        last = max((index for index, there in enumerate(given) if there), default=-1)
        args = tuple(
            left.pop(argument.name, argument.default) for argument in self._positional[: last + 1]
        )
        return args, left


class Prepared:
    """A delivery that was decoded and validated, and can be run."""

    __slots__ = (
        "answer",
        "args",
        "attempt",
        "ctx",
        "headers",
        "kwargs",
        "plan",
        "priority",
        "published",
        "value",
    )

    def __init__(
        self,
        plan: RunPlan,
        value: Any,
        ctx: Context | None,
        attempt: int,
        published: float | None,
        wanted: bool = False,
        headers: Mapping[str, Any] | None = None,
    ) -> None:
        self.plan = plan
        self.headers = headers
        self.priority: int | None = None
        self.answer: Callable[[object], bytes] | None = plan.answers.record if wanted else None
        self.value = value
        self.args, self.kwargs = plan.arguments(value)
        self.ctx = ctx
        self.attempt = attempt
        self.published = published

    @property
    def task_name(self) -> str:
        """The task's name."""
        return self.plan.name

    @property
    def time_limit(self) -> float | None:
        """Seconds that the run may take."""
        return self.plan.time_limit

    @property
    def elapsed(self) -> float | None:
        """Seconds since the message was first published, if it says when."""
        return None if self.published is None else max(0.0, time.time() - self.published)
