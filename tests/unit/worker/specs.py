"""What workers of a small app are to do."""

from __future__ import annotations

import asyncio
from typing import Any

from rmqwork import App, Queue, Retry, TaskMessage
from rmqwork._config.manifest import Manifest
from rmqwork._worker.model.options import WorkerOptions
from rmqwork._worker.model.plan import WorkerSpec, worker_spec


class Resize(TaskMessage, name="images.resize", queue="high", version=2):
    width: int


def shop_spec(**options: Any) -> WorkerSpec:
    """A worker of an app with tasks for threads, for the loop, and for processes of their own."""
    app = App("shop", broker="memory://", queues=[Queue("high"), Queue("low")], default_queue="low")
    app.task(name="shop.thread", retry=Retry(max_attempts=5))(_thread)
    app.task(name="shop.loop")(_loop)
    app.task(name="shop.isolated", isolated=True)(_thread_too)
    app.task(_resize)
    chosen = WorkerOptions("shop:app", name="me", **options)
    return worker_spec(chosen, Manifest.from_dict(app.manifest()))


def _thread() -> None: ...


def _thread_too() -> None: ...


async def _loop() -> None:
    await asyncio.sleep(0)


def _resize(message: Resize) -> None: ...
