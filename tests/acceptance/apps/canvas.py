"""The app of the canvas tests; its back end is in ``RMQWORK_RESULTS``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from rmqwork import App, Context, FailedTask, Queue, Retry, TaskMessage, chord, group


class User(BaseModel):
    """What `create_user` gives."""

    name: str
    email: str


class Resize(TaskMessage, name="canvas.resize"):
    """What `resize` takes."""

    width: int


class Store(TaskMessage, name="canvas.store"):
    """What `resize` gives, and `store` takes."""

    key: str


def make(broker: str | None = None, results: str | None = None) -> App:
    """An app with all tasks; the worker's settings come from its environment."""
    queues = [Queue("default"), Queue("other")]
    app = App("canvas", broker=broker, results=results, queues=queues)

    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    @app.task
    async def mul(x: int, y: int) -> int:
        return x * y

    @app.task
    def tsum(numbers: list[int]) -> int:
        return sum(numbers)

    @app.task
    def flat(numbers: list[int | list[int]]) -> str:
        return repr(numbers)

    @app.task
    def create_user(username: str, domain: str = "example.com") -> User:
        return User(name=username, email=f"{username}@{domain}")

    @app.task
    def import_contacts(user: User) -> str:
        return f"contacts of {user.name}"

    @app.task
    def send_welcome_email(user: User) -> str:
        return f"mail to {user.email}"

    @app.task
    def resize(message: Resize) -> Store:
        return Store(key=f"w{message.width}")

    @app.task
    def store(message: Store, ctx: Context) -> str:
        return f"{message.key} stored"

    @app.task
    def fails(x: int) -> int:
        raise ValueError(f"no {x}")

    @app.task(retry=Retry(max_attempts=3, wait=0.05))
    def second_time(ctx: Context, x: int) -> int:
        if ctx.attempt < 2:
            raise ValueError("not yet")
        return x

    @app.task
    def write(what: str, path: str) -> None:
        with Path(path).open("a") as file:
            file.write(f"{what}\n")

    @app.task
    def write_value(value: int, path: str) -> int:
        with Path(path).open("a") as file:
            file.write(f"{value}\n")
        return value

    @app.task
    def on_error(failed: FailedTask, path: str) -> None:
        with Path(path).open("a") as file:
            file.write(f"{failed.task}: {failed.message}\n")

    @app.task
    def factorial(ctx: Context, n: int, found: int = 1) -> int:
        return found if n < 2 else ctx.replace(factorial.s(n - 1, found * n))

    @app.task
    def fan_out(ctx: Context, n: int) -> int:
        return ctx.replace(group(add.s(k, 1) for k in range(n)) | tsum.s())

    @app.task
    def maybe(ctx: Context, x: int, more: int = 100) -> int:
        return ctx.replace(add.s(x, more)) if x % 2 else x

    @app.task
    async def maybe_too(ctx: Context, x: int) -> int:
        return ctx.replace(group(add.s(x, 1), maybe.s(x)) | tsum.s()) if x % 2 else x

    @app.task
    def maybe_fails(ctx: Context, x: int) -> int:
        return ctx.replace(fails.s(x)) if x % 2 else x

    @app.task
    def first_fails(path: str, x: int) -> int:
        with Path(path).open("a") as file:
            file.write("run\n")
        if Path(path).read_text().count("run") == 1:
            raise ValueError("the first run")
        return x

    @app.task
    def count(path: str) -> int:
        with Path(path).open("ab", buffering=0) as file:  # one write: runs at once are told apart
            return file.write(b"run\n") and file.tell() // 4

    @app.task
    def seen(ctx: Context, before: object = None) -> list[object]:
        return [ctx.queue, ctx.headers.get("tenant"), ctx.workflow]

    @app.task
    def seen_in_place(ctx: Context) -> list[object]:
        return ctx.replace(seen.si())

    @app.task
    def note_place(ctx: Context, before: object, path: str) -> None:
        with Path(path).open("a") as file:
            file.write(f"{ctx.queue} {ctx.headers.get('tenant')}\n")

    @app.task
    def measured() -> dict[str, float]:
        return {"mean": math.nan, "most": math.inf, "least": -math.inf}

    @app.task
    def shown(values: dict[str, float]) -> str:
        return " ".join(f"{type(value).__name__}:{value}" for value in values.values())

    @app.task
    def measured_untyped() -> dict[str, Any]:
        return {"mean": math.nan, "most": math.inf, "least": -math.inf}

    @app.task
    def shown_untyped(values: dict[str, Any]) -> str:
        return " ".join(f"{type(value).__name__}:{value}" for value in values.values())

    @app.task
    def shown_all(values: list[dict[str, Any]]) -> str:
        return " ".join(type(value["mean"]).__name__ for value in values)

    @app.task
    def starts_another(n: int, path: str) -> str:
        header = [add.s(k, 1) for k in range(n)]
        return chord(header, tsum.s()).link(write_value.s(path)).delay().id

    @app.task
    async def starts_another_too(n: int, path: str) -> str:
        work = add.s(n, 1) | write_value.s(path)
        return (await work.adelay()).id

    return app


app = make()
