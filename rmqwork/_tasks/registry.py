"""`TaskRegistry`: where tasks are declared by ``@app.task``, or by ``@task_set.task``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, ParamSpec, Protocol, TypeVar, overload

from rmqwork._config.celery_names import NamesCeleryWords
from rmqwork._config.task_table import TaskTable
from rmqwork._messages.message import TaskMessage, check_task_name
from rmqwork._tasks.context import Context
from rmqwork._tasks.declaring import make_task
from rmqwork._tasks.dependencies import Overrides
from rmqwork._tasks.retry import Retry
from rmqwork._tasks.task import AsyncTask, Task
from rmqwork.errors import ConfigurationError

if TYPE_CHECKING:
    from rmqwork._canvas.ports import PublishingApp

P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M", bound=TaskMessage)
_Coroutine = Coroutine[Any, Any, R]


class TaskDecorator(Protocol):
    """What ``@app.task(...)`` gives: makes a `Task` of a function."""

    @overload
    def __call__(
        self, function: Callable[Concatenate[M, ...], _Coroutine[R]], /
    ) -> AsyncTask[[M], R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[M, ...], R], /) -> Task[[M], R]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[Context[Any], P], _Coroutine[R]], /
    ) -> AsyncTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Context[Any], P], R], /) -> Task[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, _Coroutine[R]], /) -> AsyncTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...


class TaskRegistry(NamesCeleryWords):
    """Tasks by name; an `App`, or a `TaskSet`.

    Args:
        name: in front of the names of function-style tasks.
    """

    _celery_kind: ClassVar = "app"

    def __init__(self, name: str) -> None:
        self.name = check_task_name(name, f"{type(self).__name__}({name!r})")
        self.tasks: TaskTable[Task[..., Any]] = TaskTable()
        self.overrides = Overrides()

    @property
    def app(self) -> PublishingApp:
        """The app that publishes for these tasks."""
        raise NotImplementedError

    @property
    def state(self) -> Any:
        """What the app's lifespan has yielded in this process; None elsewhere."""
        raise NotImplementedError

    @overload
    def task(
        self, function: Callable[Concatenate[M, ...], _Coroutine[R]], /
    ) -> AsyncTask[[M], R]: ...
    @overload
    def task(self, function: Callable[Concatenate[M, ...], R], /) -> Task[[M], R]: ...
    @overload
    def task(
        self, function: Callable[Concatenate[Context[Any], P], _Coroutine[R]], /
    ) -> AsyncTask[P, R]: ...
    @overload
    def task(self, function: Callable[Concatenate[Context[Any], P], R], /) -> Task[P, R]: ...
    @overload
    def task(self, function: Callable[P, _Coroutine[R]], /) -> AsyncTask[P, R]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R]: ...
    @overload
    def task(
        self,
        /,
        *,
        name: str | None = None,
        queue: str | None = None,
        retry: Retry | None = None,
        time_limit: float | None = None,
        hard_time_limit: float | None = None,
        isolated: bool = False,
        ignore_result: bool = False,
        partition_key: str | None = None,
        version: int | None = None,
        aliases: Sequence[str] = (),
    ) -> TaskDecorator: ...

    def task(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Make a task of a function: ``@app.task``, or ``@app.task(retry=..., time_limit=...)``.

        A function whose first parameter is a `TaskMessage` takes such messages; what follows is
        injected. Any other is called with the arguments of ``delay``; a `Context`, if it wants one,
        comes first, and dependencies have a ``Depends(...)`` default.

        Args:
            function: sync or async.
            name: of the task; default ``<app.name>.<function>``, or what the message class says.
            queue: for its messages (function style).
            retry: its policy; default: the app's, or one attempt.
            time_limit: seconds after which a run is stopped.
            hard_time_limit: seconds after which the process that runs it is killed.
            isolated: whether each run gets a process of its own.
            ignore_result: whether nobody wants its result.
            partition_key: the parameter that chooses among the partitions of its queue (function
                style).
            version: of its arguments (function style); default 1. See `Task.upcast`.
            aliases: its former names, by which messages still find it.

        Raises:
            ConfigurationError: the function, its name or an option cannot be used; or there is a
                task of that name, or with that alias.
        """
        if function is not None:
            return self._declare(function, options, _locals_of_caller())

        def decorate(function: Callable[..., Any]) -> Task[..., Any]:
            return self._declare(function, options, _locals_of_caller())

        return decorate

    def _declare(
        self,
        function: Callable[..., Any],
        options: Mapping[str, Any],
        localns: Mapping[str, Any] | None,
    ) -> Task[..., Any]:
        task = make_task(self, function, options, localns)
        self.register(task)
        return task

    def register(self, task: Task[..., Any]) -> None:
        """Add a task.

        Raises:
            ConfigurationError: there is another of that name, or of one of its aliases.
        """
        for name in (task.name, *task.aliases):
            other = self.tasks.get(name)
            if other is None or other is task or _declared_again(other, task):
                continue
            if name == task.name == other.name:
                raise ConfigurationError(
                    f"{type(self).__name__} {self.name!r}: there are two tasks named {name!r}: "
                    f"{_place(other)} and {_place(task)}; give one of them another name="
                )
            raise ConfigurationError(
                f"{type(self).__name__} {self.name!r}: {name!r} is {_called(name, other)} of "
                f"{_place(other)} and {_called(name, task)} of {_place(task)}; messages of that "
                "name can go to one of them only"
            )
        self.tasks.add(task)


def _locals_of_caller() -> Mapping[str, Any] | None:
    """The local names where a task is declared; None in a module, whose names are known anyway."""
    frame = sys._getframe(2)
    return None if frame.f_code.co_name == "<module>" else dict(frame.f_locals)


def _declared_again(old: Task[..., Any], new: Task[..., Any]) -> bool:
    """Whether a person has run the same lines again in a notebook or at a prompt."""
    first, second = old.function, new.function
    same = (first.__module__, first.__qualname__) == (second.__module__, second.__qualname__)
    names = getattr(second, "__globals__", {})
    return (
        same and second.__module__ == "__main__" and (hasattr(sys, "ps1") or "get_ipython" in names)
    )


def _called(name: str, task: Task[..., Any]) -> str:
    return "the name" if task.name == name else "an alias"


def _place(task: Task[..., Any]) -> str:
    code = getattr(task.function, "__code__", None)
    where = f" (line {code.co_firstlineno})" if code is not None else ""
    return f"{task.function.__module__}.{task.function.__qualname__}{where}"
