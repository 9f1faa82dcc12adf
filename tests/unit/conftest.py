"""An app that publishes into a list, and deliveries as executors get them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import pytest

from rmqwork import App
from rmqwork.errors import PublishError
from rmqwork.types import Publication


class FakePort:
    """A `PublishPort` that keeps what it is given and answers at once.

    ``answer`` says what becomes of a publication: None = confirmed.
    """

    def __init__(self) -> None:
        self.sent: list[Publication] = []
        self.calls: list[tuple[int, float]] = []
        self.closed = False
        self.answer: Callable[[Publication], PublishError | None] = lambda publication: None

    def submit(
        self, publications: Sequence[Publication], timeout: float
    ) -> Future[list[PublishError | None]]:
        self.calls.append((len(publications), timeout))
        self.sent += publications
        future: Future[list[PublishError | None]] = Future()
        future.set_result([self.answer(one) for one in publications])
        return future

    def close(self, timeout: float) -> int:
        self.closed = True
        return 0


@pytest.fixture
def port() -> FakePort:
    return FakePort()


@pytest.fixture
def app(port: FakePort, monkeypatch: pytest.MonkeyPatch) -> App:
    """An app with the queues ``high`` and ``low`` (the default), on the fake port."""
    monkeypatch.delenv("RMQWORK_BROKER", raising=False)
    app = App("shop", queues=["high", "low"], default_queue="low")
    app.use_publisher(port)
    return app


@pytest.fixture
def delivery() -> Callable[..., tuple[Any, ...]]:
    """Makes a delivery message as the worker process sends it."""

    def make(task: str, body: bytes, **given: Any) -> tuple[Any, ...]:
        return (
            "d",
            given.get("number", 1),
            given.get("queue", "low"),
            task,
            body,
            given.get("attempt", 1),
            given.get("redelivered", False),
            given.get("task_id", "id-1"),
            given.get("headers"),
            given.get("content_type", "application/json"),
            given.get("extras"),
        )

    return make
