"""Which functions can be tasks; read through ``@app.task``, as users do."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from pydantic import Field

from rmqwork import App, ConfigurationError, Context, Depends, TaskMessage

if TYPE_CHECKING:
    from decimal import Decimal


class Resize(TaskMessage, name="images.resize"):
    width: int


def thing() -> str:
    return "thing"


def test_the_first_message_makes_the_message_style(app):
    @app.task
    def resize(message: Resize, ctx: Context[int], it: str = Depends(thing)) -> None: ...

    parameters = resize.parameters
    assert parameters.message is Resize
    assert parameters.context == "ctx"
    assert list(parameters.dependants) == ["it"]
    assert parameters.arguments == ()
    assert resize.name == "images.resize"


def test_any_other_function_makes_the_function_style(app):
    @app.task
    async def add(ctx: Context, x: int, /, y: int = 2, *, z: int = 3, it=Depends(thing)) -> int:
        return 1

    parameters = add.parameters
    assert parameters.message is None
    assert parameters.context == "ctx"
    assert [one.name for one in parameters.arguments] == ["x", "y", "z"]
    assert [one.required for one in parameters.arguments] == [True, False, False]
    assert parameters.is_async
    assert add.name == "shop.add"


def test_a_dependency_may_stand_in_annotated(app):
    @app.task
    def add(x: int, it: Annotated[str, Depends(thing)]) -> str:
        return it

    assert add(1) == "thing"


def test_types_of_the_function_around_are_found(app):
    class Local(TaskMessage, name="local"):
        x: int

    @app.task
    def bare(message: Local) -> int:
        return message.x

    @app.task(name="with.options")
    def with_options(x: list[Local]) -> int:
        return len(x)

    assert bare.parameters.message is Local
    assert with_options.parameters.arguments[0].annotation == list[Local]


def test_a_partial_and_a_wrapped_function_can_be_tasks(app):
    def wrapper(function):
        @functools.wraps(function)
        def inner(*args, **kwargs):
            return function(*args, **kwargs) + 1

        return inner

    @app.task
    @wrapper
    def one_more(x: int) -> int:
        return x

    def add(x: int, y: int) -> int:
        return x + y

    two_more = app.task(name="two_more")(functools.partial(add, y=2))

    assert one_more(1) == 2
    assert two_more(1) == 3


def takes_args(*args: int) -> None: ...
def takes_kwargs(**kwargs: int) -> None: ...
def unannotated(x) -> None: ...
def method(self, x: int) -> None: ...
def unresolvable(x: Decimal) -> None: ...
def late_context(x: int, ctx: Context) -> None: ...
def keyword_context(x: int, *, ctx: Context) -> None: ...
def two_contexts(message: Resize, one: Context, other: Context) -> None: ...
def message_second(ctx: Context, message: Resize) -> None: ...
def left_over(message: Resize, width: int) -> None: ...
def more_args(message: Resize, *args: int) -> None: ...
def field_default(x: int = Field(gt=0)) -> None: ...
def positional_dependency(it: str = Depends(thing), /) -> None: ...
def generator(x: int) -> Any:
    yield x


async def async_generator(x: int) -> Any:
    yield x


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (takes_args, "parameter 'args': .* takes no \\*args"),
        (takes_kwargs, "parameter 'kwargs': .* takes no \\*\\*kwargs"),
        (unannotated, "parameter 'x' has no annotation"),
        (method, "parameter 'self' has no annotation .methods cannot be tasks"),
        (unresolvable, "parameter 'x': its annotation 'Decimal' cannot be used .NameError"),
        (late_context, "parameter 'ctx': there is one Context, and it is the first"),
        (keyword_context, "parameter 'ctx': there is one Context"),
        (two_contexts, "parameter 'other': there is one Context"),
        (message_second, "put the message first"),
        (left_over, "parameter 'width': what follows the message is injected"),
        (more_args, "parameter 'args': a task takes no"),
        (field_default, "parameter 'x': write Annotated"),
        (positional_dependency, "parameter 'it' is injected and positional-only"),
        (generator, "is a generator"),
        (async_generator, "is a generator"),
        (Resize, "a task is a function"),
        (3, "a task is a function"),
    ],
)
def test_what_cannot_be_a_task_is_refused_with_its_name(app: App, function, says):
    with pytest.raises(ConfigurationError, match=says) as caught:
        app.task(function)

    assert getattr(function, "__qualname__", "3") in str(caught.value)
    assert app.tasks == {}
