"""The tasks that workflows are made of here."""

from __future__ import annotations

from datetime import datetime

import pytest

from rmqwork import Context, FailedTask
from tests.unit.canvas.frozen import Resize


@pytest.fixture
def tasks(app):
    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    @app.task(queue="high")
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    @app.task
    def resize(message: Resize, ctx: Context) -> Resize:
        return message

    @app.task
    def at(moment: datetime, data: bytes = b"") -> int:
        return 1

    @app.task
    def on_error(failed: FailedTask) -> None: ...
