"""What mypy and pyright must refuse: each line that ends in ``# refused`` has an error.

`test_typing` looks for one at each, and at no other line.
"""

from __future__ import annotations

from rmqwork import App, Context, FailedTask, Retry, TaskMessage, chain, chord, group

app = App("shop", processes="many")  # refused


class Resize(TaskMessage, name="images.resize"):
    """A message."""

    width: int


class Other(TaskMessage, name="other"):
    """Another message."""

    width: int


@app.task
def add(x: int, y: int) -> int:
    return x + y


@app.task
def greet(ctx: Context, name: str) -> str:
    return name


@app.task(retry=Retry(max_attempts=3))
def resize(message: Resize, ctx: Context) -> str:
    return "done"


@app.task
async def fetch(url: str) -> bytes:
    return url.encode()


@app.task(priority=3)  # refused
def with_unknown_option(x: int) -> None: ...


@app.task
def multiply(x: int, y: int) -> int:
    return x * y


@app.task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@app.task
def on_error(failed: FailedTask) -> None: ...


message = Resize(width=3)

add.delay("x")  # refused
add.delay(1)  # refused
add.delay(1, 2, 3)  # refused
add.delay(1, z=2)  # refused
add.s("x", 1)  # refused
greet.delay(3)  # refused
resize.delay(Other(width=3))  # refused
resize.delay(width=3)  # refused
resize.delay(message, None)  # refused
fetch.delay(b"x")  # refused

text: str = add.delay(1, 2).get()  # refused
number: int = resize.delay(message).get(timeout=1)  # refused
here: str = add(1, 2)  # refused
nothing: bytes = app.publish(message).get()  # refused

add.apply_async((1, 2), countdwon=3)  # refused
add.apply_async((1, 2), countdown="soon")  # refused
add.options(priority="high")  # refused
add.options(queue="low").delay("x")  # refused
app.publish({"width": 3})  # refused
app.publish_many([3])  # refused


add.s(1, 2) | greet.s()  # refused
add.s(1, 2) | add.s(1, 2)  # refused
add.s(1, 2) | resize.s()  # refused
resize.s(message) | multiply.s(3)  # refused
resize.s(Other(width=3))  # refused
chain(add.s(1, 2), greet.s())  # refused
group(greet.s("x"), greet.s("y")) | total.s()  # refused
chord([greet.s("x")], total.s())  # refused
chord([add.s(1, 2)])(greet.s())  # refused
add.s(1) | multiply.s("x")  # refused
add.s(1).delay("x")  # refused
add.s(1, 2).link(greet.s())  # refused
add.s(1, 2).link_error(multiply.s(3))  # refused
add.s(1, 2).set(countdwon=3)  # refused
total.map([1, 2])  # refused
chained: str = (add.s(1, 2) | multiply.s(3)).delay().get()  # refused
grouped: list[str] = group(add.s(1, 2)).delay().get()  # refused


async def called_on_a_loop() -> str:
    return await fetch("x")  # refused


async def published_on_a_loop() -> str:
    await fetch.adelay(3)  # refused
    return await (await fetch.adelay("x")).aget()  # refused
