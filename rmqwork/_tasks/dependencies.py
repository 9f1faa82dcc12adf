"""`Depends`: what a task needs beside its message, made anew for each run.

The work is done by fast-depends, without its casting; it is imported when `Depends` is first used.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from rmqwork._messages.annotations import resolve_hint
from rmqwork._tasks.context import Context
from rmqwork.errors import ConfigurationError

if TYPE_CHECKING:
    from fast_depends import Provider
    from fast_depends.core import CallModel
    from fast_depends.dependencies import Dependant


def Depends(dependency: Callable[..., Any], *, use_cache: bool = True) -> Any:
    """The default of a task's parameter that is to be filled by a function::

        def get_session(ctx: Context) -> Iterator[Session]:
            with Session(ctx.state) as session:
                yield session

        @app.task
        def resize(message: Resize, session: Session = Depends(get_session)) -> None: ...

    A generator (sync or async) goes on after its ``yield`` when the task has ended, and sees the
    task's exception there; what it raises then fails the run. A dependency may have dependencies,
    and a parameter annotated with `Context`. An async one needs an async task.

    Args:
        dependency: called for each run of the task.
        use_cache: whether one run calls it once, however many ask for it.
    """
    from fast_depends.dependencies import Dependant

    return Dependant(dependency, use_cache=use_cache, cast=False, cast_result=False)


def is_context(annotation: object) -> bool:
    """Whether a parameter asks for the `Context`."""
    return annotation is Context or get_origin(annotation) is Context


def dependant_of(parameter: inspect.Parameter, annotation: object) -> Dependant | None:
    """The dependency that fills a parameter (by its default or in ``Annotated``), if any."""
    module = sys.modules.get("fast_depends.dependencies.model")
    if module is None:  # nobody has used Depends
        return None
    candidates = [parameter.default]
    if get_origin(annotation) is Annotated:
        candidates += get_args(annotation)[1:]
    for candidate in candidates:
        if isinstance(candidate, module.Dependant):
            found: Dependant = candidate
            return found
    return None


class Overrides:
    """The dependencies of an app, and what stands in for them in tests."""

    def __init__(self) -> None:
        self._provider: Provider | None = None

    @property
    def provider(self) -> Provider:
        """fast-depends' registry."""
        if self._provider is None:
            from fast_depends import Provider

            self._provider = Provider()
        return self._provider

    @contextmanager
    def replaced(
        self, dependency: Callable[..., Any], replacement: Callable[..., Any]
    ) -> Iterator[None]:
        """Let another function stand in for a dependency for a while."""
        with self.provider.scope(dependency, replacement):
            yield


class Injector:
    """Fills the parameters of one task that have a `Depends`.

    Args:
        where: the task, for errors.
        dependants: by parameter.
        is_async: whether the task is.
        localns: names that annotations may use besides the module's.

    Raises:
        ConfigurationError: an async dependency in a sync task, or one that needs what nobody
            provides.
    """

    def __init__(
        self,
        where: str,
        dependants: Mapping[str, Dependant],
        *,
        is_async: bool,
        localns: Mapping[str, Any] | None = None,
    ) -> None:
        self._dependants = dict(dependants)
        self._is_async = is_async
        self._context_names: set[str] = set()
        self._built: tuple[Provider, dict[str, CallModel]] | None = None
        for dependant in dependants.values():
            self._check(where, dependant.dependency, localns, ())

    def warm(self, provider: Provider) -> None:
        """Read the signatures of all dependencies."""
        self._models(provider)

    def solve(
        self, ctx: Context, stack: ExitStack, provider: Provider, given: Container[str] = ()
    ) -> dict[str, Any]:
        """The values, by parameter, but for those ``given``; ``stack`` ends the generators."""
        cache: dict[Callable[..., Any], Any] = {}
        contexts: dict[str, Any] = dict.fromkeys(self._context_names, ctx)
        return {
            name: provider.get_dependant(model.call).solve(
                stack=stack, cache_dependencies=cache, nested=True, **contexts
            )
            for name, model in self._models(provider).items()
            if name not in given
        }

    async def asolve(
        self, ctx: Context, stack: AsyncExitStack, provider: Provider, given: Container[str] = ()
    ) -> dict[str, Any]:
        """`solve` for async tasks."""
        cache: dict[Callable[..., Any], Any] = {}
        contexts: dict[str, Any] = dict.fromkeys(self._context_names, ctx)
        return {
            name: await provider.get_dependant(model.call).asolve(
                stack=stack, cache_dependencies=cache, nested=True, **contexts
            )
            for name, model in self._models(provider).items()
            if name not in given
        }

    def _models(self, provider: Provider) -> dict[str, CallModel]:
        if self._built is None or self._built[0] is not provider:
            from fast_depends.core import build_call_model

            models = {}
            for name, dependant in self._dependants.items():
                model = build_call_model(
                    dependant.dependency,
                    dependency_provider=provider,
                    use_cache=dependant.use_cache,
                    is_sync=not self._is_async,
                )
                provider.add_dependant(model)
                models[name] = model
            self._built = (provider, models)
        return self._built[1]

    def _check(
        self,
        where: str,
        dependency: Callable[..., Any],
        localns: Mapping[str, Any] | None,
        above: tuple[Callable[..., Any], ...],
    ) -> None:
        name = getattr(dependency, "__qualname__", repr(dependency))
        if not callable(dependency):
            raise ConfigurationError(f"{where}: Depends({name}) needs something to call")
        if dependency in above:
            raise ConfigurationError(f"{where}: dependency {name} depends on itself")
        if not self._is_async and _is_async(dependency):
            raise ConfigurationError(
                f"{where} is a sync function and its dependency {name} is async; make the task "
                "`async def`, or the dependency sync"
            )
        for parameter in inspect.signature(dependency).parameters.values():
            annotation = resolve_hint(dependency, parameter, localns, missing=None)
            dependant = dependant_of(parameter, annotation)
            if dependant is not None:
                self._check(where, dependant.dependency, localns, (*above, dependency))
            elif is_context(annotation):
                self._context_names.add(parameter.name)
            elif parameter.default is parameter.empty and parameter.kind not in (
                parameter.VAR_POSITIONAL,
                parameter.VAR_KEYWORD,
            ):
                raise ConfigurationError(
                    f"{where}: dependency {name} has a parameter {parameter.name!r} that nothing "
                    "fills; give it a default, a Depends(...), or the annotation Context"
                )


def _is_async(dependency: Callable[..., Any]) -> bool:
    called = dependency if inspect.isroutine(dependency) else type(dependency).__call__
    if isinstance(dependency, type):
        return False
    return inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called)
