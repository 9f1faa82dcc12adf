from __future__ import annotations

import asyncio
import inspect
import pickle
from datetime import timedelta
from typing import Generic, TypeVar

import pytest

from rmqwork import (
    App,
    ConfigurationError,
    Context,
    Depends,
    InvalidMessage,
    ResultsDisabled,
    Retry,
    RetryLater,
    TaskMessage,
)
from rmqwork._messages import headers

T = TypeVar("T")


class Resize(TaskMessage, name="images.resize", queue="high", version=2):
    width: int


class Page(TaskMessage, Generic[T], name="pages.turn"):
    items: list[T]


class Other(TaskMessage, name="other"):
    width: int


module_app = App("module")


@module_app.task
def in_module(x: int) -> int:
    """Doubled."""
    return x * 2


@pytest.fixture
def add(app):
    @app.task
    def add(x: int, y: int = 2) -> int:
        return x + y

    return add


@pytest.fixture
def resize(app):
    @app.task(retry=Retry(max_attempts=3))
    def resize(message: Resize, ctx: Context) -> str:
        return f"{message.width} {ctx.task} {ctx.attempt}"

    return resize


def test_calling_a_task_runs_it_here(add, resize, port):
    assert add(2, y=3) == 5
    assert resize(Resize(width=3)) == "3 images.resize 1"
    assert port.sent == []


async def test_calling_an_async_task_gives_a_coroutine(app):
    @app.task
    async def fetch(url: str) -> str:
        await asyncio.sleep(0)
        return url

    @app.task(name="with")
    async def with_context(ctx: Context, url: str) -> str:
        return f"{ctx.task} {url}"

    assert await fetch("a") == "a"
    assert await with_context("a") == "with a"


def test_what_a_task_raises_here_reaches_the_caller(app):
    @app.task
    def again(ctx: Context) -> None:
        ctx.retry(countdown=1)

    with pytest.raises(RetryLater):
        again()


def test_delay_publishes_and_returns_the_id(add, resize, port):
    first = add.delay(2, y=3)
    second = resize.delay(Resize(width=5))

    assert [one.message_id for one in port.sent] == [first.id, second.id]
    assert [one.type for one in port.sent] == ["shop.add", "images.resize"]
    assert [one.body for one in port.sent] == [b'{"x":2,"y":3}', b'{"width":5}']
    assert [one.routing_key for one in port.sent] == ["low", "high"]
    assert [one.headers for one in port.sent] == [{}, {headers.VERSION: 2}]
    assert {one.app_id for one in port.sent} == {"shop"}


async def test_the_async_twins_publish_alike(add, resize, port):
    await add.adelay(2)
    await add.aapply_async((2,), {"y": 3}, countdown=60)
    await resize.options(priority=9).adelay(Resize(width=5))

    assert [one.body for one in port.sent] == [b'{"x":2}', b'{"x":2,"y":3}', b'{"width":5}']
    assert port.sent[1].due is not None
    assert port.sent[2].priority == 9


def test_options_are_carried_out(add, port):
    result = add.apply_async(
        (1,),
        {"y": 1},
        countdown=timedelta(seconds=60),
        expires=120,
        queue="high",
        priority=3,
        task_id="my-id",
        headers={"a": 1},
        timeout=5,
    )

    (sent,) = port.sent
    assert (result.id, result.task) == ("my-id", "shop.add")
    assert (sent.message_id, sent.routing_key, sent.priority) == ("my-id", "high", 3)
    assert sent.timestamp is not None
    assert sent.due is not None
    assert 59 <= sent.due - sent.timestamp <= 62
    expires_at = sent.headers[headers.EXPIRES_AT]
    assert isinstance(expires_at, int)
    assert 119 <= expires_at / 1000 - sent.timestamp <= 122
    assert sent.headers["a"] == 1
    assert port.calls == [(1, 5)]


def test_a_view_has_its_options_and_leaves_the_task_alone(add, port):
    view = add.options(queue="high", countdown=5)

    view.delay(1)
    view.options(queue="low").apply_async((1,), priority=1)
    add.delay(1)

    assert [one.routing_key for one in port.sent] == ["high", "low", "low"]
    assert [one.due is not None for one in port.sent] == [True, True, False]
    assert [one.priority for one in port.sent] == [None, 1, None]
    assert view(1) == 3


@pytest.mark.parametrize("call", ["apply_async", "options"])
def test_wrong_options_are_refused_with_the_tasks_name(add, port, call):
    with pytest.raises(ConfigurationError, match=r"task 'shop\.add'.*unknown option 'countdwon'"):
        getattr(add, call)(countdwon=1)

    assert port.sent == []


@pytest.mark.parametrize("wrong", [Other(width=1), {"width": 1}, 3, None])
def test_another_message_is_refused(resize, port, wrong):
    with pytest.raises(InvalidMessage, match=r"images\.resize: takes a Resize, not a"):
        resize.delay(wrong)

    assert port.sent == []


def test_a_message_and_nothing_else(resize):
    for call in (
        lambda: resize.delay(),
        lambda: resize.delay(Resize(width=1), 2),
        lambda: resize.delay(width=1),
    ):
        with pytest.raises(InvalidMessage, match="takes one Resize and nothing else"):
            call()


def test_a_signature_is_a_call_for_later(add, port):
    signature = add.s(1, y=5).set(queue="high")

    assert port.sent == []
    signature.delay()
    signature.apply_async(priority=2)

    assert (signature.name, signature.immutable, add.si(1).immutable) == ("shop.add", False, True)
    assert [one.body for one in port.sent] == [b'{"x":1,"y":5}'] * 2
    assert [one.routing_key for one in port.sent] == ["high", "high"]
    assert [one.priority for one in port.sent] == [None, 2]


async def test_a_signature_has_async_twins(add, port):
    await add.s(1).adelay()
    await add.s(1).aapply_async(queue="high")

    assert [one.routing_key for one in port.sent] == ["low", "high"]


async def test_without_a_back_end_get_says_what_to_do(add):
    result = await add.adelay(1)

    with pytest.raises(
        ResultsDisabled, match=f"task 'shop.add' .{result.id}. was published without"
    ):
        result.get(timeout=1)
    with pytest.raises(ResultsDisabled):
        await result.aget()


def test_results_are_equal_by_their_id(add):
    one = add.apply_async((1,), task_id="a")

    assert one == add.apply_async((1,), task_id="a")
    assert one != add.apply_async((1,), task_id="b")
    assert len({one, add.apply_async((1,), task_id="a")}) == 1
    assert repr(one) == "<AsyncResult shop.add a>"


def test_a_task_looks_like_its_function():
    assert in_module.__name__ == "in_module"
    assert in_module.__doc__ == "Doubled."
    assert list(inspect.signature(in_module).parameters) == ["x"]
    assert repr(in_module) == "<Task module.in_module>"


def test_a_task_is_pickled_by_its_place_like_a_function(monkeypatch):
    import sys
    import types

    module = types.ModuleType("shop_tasks")
    app = App("shop")

    def double(x: int) -> int:
        return x * 2

    double.__module__, double.__qualname__ = "shop_tasks", "double"
    task = module.double = app.task(double)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "shop_tasks", module)

    assert pickle.loads(pickle.dumps(task)) is task


def test_an_injected_parameter_is_no_argument(app, port):
    @app.task
    def work(x: int, it: str = Depends(lambda: "it")) -> str:
        return it

    with pytest.raises(InvalidMessage, match="it: Extra inputs"):
        work.delay(1, it="mine")


def test_a_parameter_may_be_called_self(app, port):
    @app.task
    def odd(self: int, x: int) -> int:
        return self + x

    assert odd(self=1, x=2) == 3
    odd.delay(self=1, x=2)
    assert port.sent[-1].body == b'{"self":1,"x":2}'
    assert odd.s(self=1, x=2).kwargs == {"self": 1, "x": 2}


def test_a_generic_of_other_parameters_goes_if_its_fields_fit(app, port):
    @app.task
    def turn(message: Page[int]) -> None: ...

    turn.delay(Page[int](items=[1]))
    turn.delay(Page(items=[1]))
    with pytest.raises(InvalidMessage, match=r"items\.0"):
        turn.delay(Page[str](items=["a"]))

    assert len(port.sent) == 2


def test_the_version_of_a_function_is_in_its_messages(app, port):
    @app.task(version=3)
    def scale(width: int) -> None: ...

    scale.delay(5)
    app.send_task("shop.scale", {"width": 6})

    assert [sent.headers[headers.VERSION] for sent in port.sent] == [3, 3]
    assert scale.version == scale.options(priority=1).version == 3


def test_a_former_name_publishes_by_the_name_of_today(app, port):
    @app.task(aliases=["shop.shrink"], queue="high")
    def scale(width: int) -> None: ...

    app.send_task("shop.shrink", {"width": 6})
    with pytest.raises(InvalidMessage):
        app.send_task("shop.shrink", {"width": "wide"})

    assert [(sent.type, sent.routing_key) for sent in port.sent] == [("shop.scale", "high")]


@pytest.mark.parametrize(
    ("version", "start", "told"),
    [
        (2, 0, "has version 2; an upcaster starts from 1 to 1"),
        (2, 2, "has version 2; an upcaster starts from 1 to 1"),
        (None, 1, "has version 1; give it version=2"),
    ],
)
def test_an_upcaster_starts_from_an_older_version(app, version, start, told):
    @app.task(version=version)
    def scale(width: int) -> None: ...

    with pytest.raises(ConfigurationError, match=told):
        scale.upcast(start)


def test_a_version_has_one_upcaster(app):
    @app.task(version=2)
    def scale(width: int) -> None: ...

    scale.upcast(1)(lambda fields: fields)

    with pytest.raises(ConfigurationError, match=r"scale\.upcast\(1\): that version has an"):
        scale.upcast(1)


def test_the_upcasters_of_a_message_class_are_at_the_class(resize):
    with pytest.raises(ConfigurationError, match=r"write @Resize\.upcast\(1\)"):
        resize.upcast(1)
