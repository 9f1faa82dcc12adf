"""What `test_processes.py` drives real processes with; also a worker of its own that can be killed.

``python process_pool.py FOLDER`` runs tasks that never end, and writes the processes' ids there.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rmqwork._worker.ipc.death import Death
from rmqwork._worker.ipc.wire import Message, outcome_of
from rmqwork._worker.processes.executor import Executor, State
from rmqwork._worker.processes.launch import start_template
from rmqwork._worker.processes.template import Template
from rmqwork.types import Outcome
from tests.waiting import auntil

HERE = Path(__file__).parent
HOLD = object()
"""An answer to publishes that waits for `Pool.answer_all`."""


class Pool:
    """A template with its executors, and all that they said."""

    def __init__(self, app: str = "process_app:app", *, preload: bool = True, **env: str) -> None:
        path = os.pathsep.join([str(HERE), *sys.path])
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "", **env}
        self.template = Template(start_template(app, preload, environment), self)
        self.outcomes: dict[int, Outcome] = {}
        self.back: list[int] = []
        self.cancelled: list[int] = []
        self.messages: list[Message] = []
        self.deaths: dict[int, Death] = {}
        self.template_death: str | None = None
        self.warnings: list[str] = []
        self.twice: list[int] = []
        self.order: list[tuple[str, Any]] = []
        self.publish_answer: Any = None
        self.publications: list[Message] = []
        self._open: list[tuple[Executor, int, int]] = []
        self._numbers = itertools.count(1)

    async def __aenter__(self) -> Pool:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.template.close()
        assert self.twice == []

    async def executor(
        self, threads: int = 2, async_tasks: int = 2, *, isolated: bool = False
    ) -> Executor:
        """One more executor that takes deliveries."""
        await self.template.manifest()
        executor = self.template.fork(threads, async_tasks, isolated=isolated)
        await self.until(lambda: executor.state is not State.STARTING)
        assert executor.state is State.READY, self.deaths
        return executor

    def delivery(self, task: str, **arguments: object) -> Message:
        """A delivery message with a number of its own."""
        number = next(self._numbers)
        body = json.dumps(arguments).encode()
        what = ("q", f"p.{task}", body, 1, False, f"id-{number}", None, "application/json", None)
        return ("d", number, *what)

    def start(self, executor: Executor, task: str, **arguments: object) -> int:
        """Have a task run in a thread; returns its number."""
        message = self.delivery(task, **arguments)
        executor.send_threads([message])
        return message[1]

    def astart(self, executor: Executor, task: str, **arguments: object) -> int:
        """Have a task run on the event loop; returns its number."""
        message = self.delivery(task, **arguments)
        executor.send_async([message])
        return message[1]

    async def until(self, condition: Callable[[], object], timeout: float = 60.0) -> None:
        """Wait until something holds."""
        await auntil(condition, lambda: vars(self), timeout)

    async def outcome(self, number: int) -> Outcome:
        """The outcome of a delivery."""
        await self.until(lambda: number in self.outcomes)
        return self.outcomes[number]

    async def death(self, executor: Executor) -> Death:
        """How an executor died."""
        await self.until(lambda: executor.id in self.deaths)
        return self.deaths[executor.id]

    def on_ready(self, executor: Executor) -> None:
        pass

    def on_messages(self, executor: Executor, messages: list[Message]) -> None:
        for message in messages:
            match message:
                case ("o", *_):
                    number, outcome = outcome_of(message)
                    if number in self.outcomes:
                        self.twice.append(number)
                    self.outcomes[number] = outcome
                    self.order.append(("outcome", number))
                case ("back", numbers):
                    self.back += numbers
                case ("cancelled", number):
                    self.cancelled.append(number)
                case ("publish", request, publications, _):
                    self.publications += publications
                    if self.publish_answer is HOLD:
                        self._open.append((executor, request, len(publications)))
                    else:
                        answer = self.publish_answer or [None] * len(publications)
                        executor.published(request, answer)
            self.messages.append(message)

    def answer_all(self) -> None:
        """Confirm what was held, and from now on all at once."""
        self.publish_answer = None
        for executor, request, count in self._open:
            executor.published(request, [None] * count)

    def on_death(self, executor: Executor, death: Death) -> None:
        self.deaths[executor.id] = death
        self.order.append(("death", executor.id))

    def on_template_death(self, template: Template, text: str) -> None:
        self.template_death = text

    def on_warning(self, text: str) -> None:
        self.warnings.append(text)


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def parent_of(pid: int) -> int:
    """The process id of a process's parent."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def main(folder: Path) -> None:
    """Be a worker process that is about to be killed."""
    async with Pool() as pool:
        one, two = await pool.executor(), await pool.executor()
        pool.start(one, "holds_the_gil", pid_file=str(folder / "gil"))
        pool.start(two, "pool_for_ever", pid_file=str(folder / "child"))
        pool.start(two, "until_file", path="/nowhere")
        await pool.until(lambda: (folder / "gil").exists() and (folder / "child").exists())
        pids = [pool.template.pid, one.pid, two.pid]
        (folder / "pids").write_text(" ".join(map(str, pids)))
        (folder / "ready").touch()
        await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
