"""What mypy and pyright must accept, with the types that users see."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar, assert_type

from pydantic import Field

from rmqwork import (
    App,
    AsyncResult,
    Context,
    Depends,
    Exchange,
    FailedTask,
    GroupResult,
    Immutable,
    Partial,
    Queue,
    Retry,
    Route,
    Signature,
    Task,
    TaskMessage,
    TaskSet,
    as_completed,
    chain,
    chord,
    group,
    wait,
)

T = TypeVar("T")


class Engine:
    """What the lifespan makes."""


class Session:
    """What a dependency makes."""


class Thumbnail:
    """What a task returns."""


class Resize(TaskMessage, name="images.resize", queue="high", version=2):
    """A message with fields that are called like the class's keywords."""

    name: str
    version: int = 1
    width: int = Field(gt=0)


class Wrapped(TaskMessage, Generic[T], name="wrapped", extra="ignore"):
    """A generic message."""

    value: T


app = App(
    "shop",
    broker="amqp://localhost/",
    queues=[Queue("high"), "low"],
    exchanges=[Exchange("images")],
    routes={"images.*": "high", "other.*": Route("images", "x")},
    default_queue="low",
    concurrency=4,
)
library = TaskSet("library")


@app.lifespan
@contextmanager
def engine() -> Iterator[Engine]:
    yield Engine()


other = App("other")


@other.lifespan
@asynccontextmanager
async def async_engine(app: App) -> AsyncIterator[Engine]:
    yield Engine()


def get_session(ctx: Context[Engine]) -> Iterator[Session]:
    yield Session()


@app.task(retry=Retry(max_attempts=5), time_limit=30)
def resize(
    message: Resize, ctx: Context[Engine], session: Session = Depends(get_session)
) -> Thumbnail:
    assert_type(ctx.state, Engine)
    return Thumbnail()


@app.task
def plain(message: Resize) -> int:
    return message.width


@app.task(queue="high")
def add(x: int, y: int = 2) -> int:
    return x + y


@app.task
def with_context(ctx: Context, x: int, *, loud: bool = False) -> str:
    ctx.log.info("hello")
    return str(x)


@app.task
async def fetch(url: str) -> bytes:
    return url.encode()


@app.task(time_limit=5)
async def fetch_with_context(ctx: Context[Engine], url: str) -> bytes:
    return url.encode()


@app.task
async def resize_async(message: Resize, ctx: Context) -> Thumbnail:
    return Thumbnail()


@library.task
def wrapped(message: Wrapped[int]) -> int:
    return message.value


message = Resize(name="x", width=3)

assert_type(resize.delay(message), AsyncResult[Thumbnail])
assert_type(resize(message), Thumbnail)
assert_type(plain.delay(message).get(timeout=5), int)
assert_type(add.delay(2, 2), AsyncResult[int])
assert_type(add.delay(2, 2).get(timeout=5), int)
assert_type(wait([add.delay(2, 2)], progress=True), list[AsyncResult[int]])
assert_type([result.get() for result in as_completed([add.delay(2, 2)])], list[int])
assert_type(add.delay(x=2, y=2), AsyncResult[int])
assert_type(add(2), int)
assert_type(add.s(2, 2), Signature[int])
assert_type(add.si(2).delay(), AsyncResult[int])
assert_type(add.options(queue="low", countdown=5, priority=3).delay(2, 2), AsyncResult[int])
assert_type(with_context.delay(3, loud=True), AsyncResult[str])
assert_type(wrapped.delay(Wrapped[int](value=3)), AsyncResult[int])
assert_type(add.apply_async((2, 2), eta=None, countdown=None, queue=None), AsyncResult[int])
assert_type(
    add.apply_async(
        (2, 2),
        {},
        countdown=timedelta(seconds=5),
        expires=datetime.now(UTC),
        queue="low",
        task_id="x",
        headers={"a": 1, "b": "x", "c": True},
    ),
    AsyncResult[int],
)
assert_type(app.publish(message, countdown=5), AsyncResult[object])
assert_type(app.publish_many([message, add.s(2)]), list[AsyncResult[object]])
assert_type(app.send_task("images.resize", {"width": 3}, queue="high"), AsyncResult[object])


class Store(TaskMessage, name="images.store"):
    """A message that a task before it makes."""

    key: str


@app.task
def prepare(message: Resize) -> Store:
    return Store(key=message.name)


@app.task
def store(message: Store, ctx: Context) -> bool:
    return True


@app.task
def multiply(x: int, y: int) -> int:
    return x * y


@app.task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@app.task
def show(ctx: Context, text: str, *, loud: bool = False) -> None: ...


@app.task
def on_error(failed: FailedTask, where: str = "") -> None: ...


@app.task
def clean() -> None: ...


assert_type(multiply.s(4), Partial[int, int])
assert_type(multiply.s(y=4), Partial[int, int])
assert_type(add.partial(2), Partial[int, int])
assert_type(multiply.si(2, 2), Immutable[int])
assert_type(prepare.s(message) | store.s(), Signature[bool])
assert_type(add.s(2, 2) | multiply.s(4), Signature[int])
assert_type(add.s(2, 2) | multiply.s(4) | with_context.s() | show.s(loud=True), Signature[None])
assert_type(multiply.s(4) | multiply.s(8), Partial[int, int])
assert_type((multiply.s(4) | with_context.s()).delay(2).get(), str)
assert_type(add.s(2, 2) | clean.si() | multiply.si(1, 2), Signature[int])
assert_type(clean.si() | multiply.si(1, 2), Immutable[int])
assert_type(chain(add.s(2, 2), multiply.s(4), multiply.s(8)).delay().get(), int)
assert_type(group(add.s(2, 2), multiply.s(2, 2)).delay(), GroupResult[int])
assert_type(group(multiply.s(n, n) for n in range(3))().get(timeout=3), list[int])
assert_type(group([clean.si(), clean.si()]) | multiply.si(1, 2), Immutable[int])
assert_type(group(multiply.s(n, n) for n in range(3)) | total.s(), Signature[int])
assert_type(add.s(2, 2) | group(multiply.s(2), multiply.s(3)) | total.s(), Signature[int])
assert_type(chord((multiply.s(n, n) for n in range(3)), total.s()).delay().get(), int)
assert_type(chord(multiply.s(n, n) for n in range(3))(total.s()), AsyncResult[int])
assert_type(multiply.starmap([(1, 2), (3, 4)]).delay().get(), list[int])
assert_type(total.map([[1, 2], [3]]) | total.s(), Immutable[int])
assert_type(multiply.chunks([(1, 2), (3, 4)], 1)().get(), list[list[int]])
assert_type(multiply.s(2, 2).link(with_context.s()).link_error(on_error.s("here")), Signature[int])
assert_type(
    multiply.s(2).set(countdown=3, link_error=[on_error.s(), clean.si()]), Partial[int, int]
)
assert_type(add.s(2, 2).apply_async(link=with_context.s()), AsyncResult[int])


def takes_any_task(task: Task[[int, int], int]) -> None:
    task.delay(1, 2)


async def on_a_loop() -> None:
    assert_type(await fetch("x"), bytes)
    assert_type(await fetch.adelay("x"), AsyncResult[bytes])
    assert_type(fetch.delay("x").get(), bytes)
    assert_type(await (await fetch.adelay("x")).aget(), bytes)
    assert_type(await fetch_with_context.aapply_async(("x",), countdown=1), AsyncResult[bytes])
    assert_type(await resize_async(message), Thumbnail)
    assert_type(await resize_async.adelay(message), AsyncResult[Thumbnail])
    assert_type(await app.apublish(message), AsyncResult[object])
    assert_type(await app.apublish_many([message]), list[AsyncResult[object]])
    assert_type(await app.asend_task("x"), AsyncResult[object])
