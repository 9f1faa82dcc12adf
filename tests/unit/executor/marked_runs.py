"""Runs whose marks are looked at from their runner and their writer."""

from __future__ import annotations

import asyncio
import os

from rmqwork._worker.ipc.start_marks import Marks, create
from rmqwork.types import Success


class MarksHarness:
    """A runner and an writer that look at the marks whenever they are called."""

    def __init__(self) -> None:
        fd = create(2)
        self.marks = Marks(fd, 2)
        os.close(fd)
        self.seen: list[tuple[object, ...]] = []

    def note(self, what: str, number: object) -> None:
        self.seen.append((what, number, sorted(self.marks.read())))

    def prepare(self, message):
        self.note("prepare", message[1])
        return Delivered(message[1])

    def run(self, prepared):
        self.note("run", prepared.number)
        return Success(0.0)

    async def arun(self, prepared, ended):
        await asyncio.sleep(0)
        return self.run(prepared)

    def send(self, messages):
        for message in messages:
            self.note("report", message[1])


class Delivered:
    time_limit = None
    task_name = "t"

    def __init__(self, number: int) -> None:
        self.number = number


ONE_AFTER_THE_OTHER = [
    (what, number, [number]) for number in (1, 2) for what in ("prepare", "run", "report")
]
