from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

import pytest

from rmqwork import ConfigurationError, Context, Depends, TaskSet
from rmqwork._tasks.dependencies import dependant_of


def test_a_dependency_is_called_for_each_run_and_once_in_it(app):
    calls = []

    def number() -> int:
        calls.append(1)
        return len(calls)

    def twice(n: int = Depends(number)) -> int:
        return n * 2

    @app.task
    def work(a: int = Depends(number), b: int = Depends(twice)) -> tuple[int, int]:
        return a, b

    assert work() == (1, 2)
    assert work() == (2, 4)


def test_use_cache_false_calls_it_each_time(app):
    calls = []

    def number() -> int:
        calls.append(1)
        return len(calls)

    @app.task
    def work(
        a: int = Depends(number, use_cache=False), b: int = Depends(number, use_cache=False)
    ) -> tuple[int, int]:
        return a, b

    assert work() == (1, 2)


def test_the_context_is_filled_by_its_annotation_whatever_its_name(app):
    def deep(where: Context[object]) -> str:
        return where.task

    def shallow(context: Context, it: str = Depends(deep)) -> str:
        return f"{context.task}/{it}"

    @app.task
    def work(x: int, it: str = Depends(shallow)) -> str:
        return f"{x}/{it}"

    assert work(3) == "3/shop.work/shop.work"


def test_a_class_and_a_callable_object_can_be_dependencies(app):
    class Engine:
        def __init__(self, ctx: Context) -> None:
            self.name = ctx.task

    class Factory:
        def __call__(self, engine: Engine = Depends(Engine)) -> str:
            return f"made on {engine.name}"

    @app.task
    def work(it: str = Depends(Factory())) -> str:
        return it

    assert work() == "made on shop.work"


def test_async_tasks_take_both_kinds(app):
    events = []

    async def connect() -> str:
        return "connected"

    async def session(connection: str = Depends(connect)) -> AsyncIterator[str]:
        yield f"session, {connection}"
        events.append("closed")

    def plain(it: str = Depends(session)) -> Iterator[str]:
        yield it.upper()
        events.append("plain closed")

    @app.task
    async def work(x: int, it: str = Depends(plain)) -> str:
        return f"{x} {it}"

    assert asyncio.run(work(1)) == "1 SESSION, CONNECTED"
    assert events == ["plain closed", "closed"]


async def async_function() -> int:
    return 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


def over_async(it: int = Depends(async_function)) -> int:
    return it


def needs_more(url: str) -> str:
    return url


def unresolvable(it: Nowhere) -> str:  # type: ignore[name-defined]  # noqa: F821
    return ""


@pytest.mark.parametrize(
    ("dependency", "says"),
    [
        (async_function, "is a sync function and its dependency async_function is async"),
        (async_generator, "its dependency async_generator is async"),
        (over_async, "its dependency async_function is async"),
        (needs_more, "dependency needs_more has a parameter 'url' that nothing fills"),
        (unresolvable, "has a parameter 'it' that nothing fills"),
        (3, "needs something to call"),
    ],
)
def test_what_cannot_work_is_refused_at_the_declaration(app, dependency, says):
    with pytest.raises(ConfigurationError, match=says):

        @app.task
        def work(it: object = Depends(dependency)) -> None: ...


def test_tests_can_replace_a_dependency(app):
    library = TaskSet("library")

    def number() -> int:
        return 1

    def over(n: int = Depends(number)) -> int:
        return n * 10

    @app.task
    def work(n: int = Depends(over)) -> int:
        return n

    @library.task
    def lib(n: int = Depends(number)) -> int:
        return n

    app.add(library)
    assert (work(), lib()) == (10, 1)
    with app.override(number, lambda: 5):
        assert (work(), lib()) == (50, 5)
    assert (work(), lib()) == (10, 1)


def test_a_test_can_pass_what_is_injected(app):
    def session() -> str:
        raise AssertionError("it must not be called")

    @app.task
    def work(ctx: Context, x: int, session: str = Depends(session)) -> str:
        return f"{x} {session}"

    assert work(1, session="fake") == "1 fake"


def test_the_library_is_imported_only_when_it_is_used():
    code = (
        "import sys; from rmqwork import App; app = App('a');\n"
        "@app.task\ndef f(x: int) -> int: return x\n"
        "app.check(); f(1); assert not {'fast_depends', 'anyio'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_installed_library_has_its_class_where_it_is_looked_for():
    """`dependant_of` peeks at what is loaded, so that tasks without `Depends` import nothing."""
    found = Depends(int)
    parameter = inspect.Parameter("n", inspect.Parameter.KEYWORD_ONLY, default=found)

    assert type(found) is sys.modules["fast_depends.dependencies.model"].Dependant
    assert dependant_of(parameter, int) is found
    assert dependant_of(parameter.replace(default=1), Annotated[int, found]) is found
