"""How fast many workers answer, and what following the control streams costs a start.

Run by hand: ``python -m tests.chaos.control [answers|start] [N]`` with RMQWORK_BROKER set.

``answers``: N workers of this process with the real control part and connections of their own,
full of running tasks, are asked again and again. ``start``: test workers with and without control
in turn.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from types import SimpleNamespace
from typing import Any, cast

from rmqwork import App
from rmqwork._config.manifest import Manifest
from rmqwork._control.asking import asker
from rmqwork._control.wire import Command
from rmqwork._publisher.publisher import Publisher
from rmqwork._transport.connecting import connect
from rmqwork._worker.control.commands import Control
from rmqwork._worker.control.inspection import Inspection
from rmqwork._worker.model.options import WorkerOptions
from rmqwork._worker.model.plan import worker_spec

BROKER = os.environ["RMQWORK_BROKER"]
TASKS = 20
"""Running tasks of each worker."""


class Light:
    """A worker as far as control looks at it."""

    def __init__(self, number: int) -> None:
        app = App("light", broker=BROKER, queues=["a", "b"])
        app.task(lambda: None, name="light.task")
        options = WorkerOptions("x:app", name=f"light-{number}")
        self.plan = worker_spec(options, Manifest.from_dict(app.manifest()))
        now = time.monotonic()
        helds = {
            n: SimpleNamespace(
                task_id=f"id-{n}",
                delivery=SimpleNamespace(type="light.task", headers={}),
                queue="a",
                attempt=1,
            )
            for n in range(TASKS)
        }
        executor = SimpleNamespace(started=lambda: dict.fromkeys(helds, now), pid=os.getpid())
        summary = {"pid": os.getpid(), "state": "ready", "isolated": False, "running": TASKS}
        parts = SimpleNamespace(
            plan=lambda: self.plan,
            dispatcher=SimpleNamespace(
                seats=[SimpleNamespace(executor=executor, held=helds)], suspects=[]
            ),
            ready=[],
            consumption=SimpleNamespace(prefetch=lambda _: 10, reasons=lambda _: frozenset()),
            switches=SimpleNamespace(detail=dict),
            staff=SimpleNamespace(summary=lambda: [summary] * 2),
            settlement=SimpleNamespace(open=()),
            joins=SimpleNamespace(open=0, summary=list),
            stopping=lambda: False,
        )
        self.publisher = Publisher(connect([BROKER]), [], self.plan.name, eager=True)
        ignored = cast(Any, SimpleNamespace(adopt=lambda _: None, tell=lambda _: None))
        verbs = {"inspect": Inspection(cast(Any, parts)).tell}
        self.control = Control(self.plan, self.publisher, ignored, ignored, verbs, lambda: None)

    async def follow(self) -> None:
        """Until cancelled."""
        await self.control.follower.run()


async def answers(count: int) -> None:
    """Ask N workers."""
    workers = [Light(number) for number in range(count)]
    following = [asyncio.create_task(worker.follow()) for worker in workers]
    await asyncio.gather(*(worker.control.follower.known() for worker in workers))
    async with asyncio.timeout(30):
        while not all(worker.publisher.connected for worker in workers):
            await asyncio.sleep(0.05)
    for do in ("ping", "inspect"):
        took, size = [], 0
        for _ in range(20):
            began = time.monotonic()
            async with asker(connect([BROKER]), "measure") as asking:
                got = await asking.ask(Command(do, app="light"), 10, lambda a: len(a) >= count)
            took.append(time.monotonic() - began)
            assert len(got) == count, len(got)
            size = sum(len(str(one.value)) for one in got)
        print(
            f"{do}: {count} workers, connection included: median {statistics.median(took):.3f} s, "
            f"worst {max(took):.3f} s, about {size / 1000:.0f} kB"
        )
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)
    await asyncio.gather(*(worker.publisher.close(0.1) for worker in workers))


def start(count: int) -> None:
    """Start test workers with and without control in turn; to their first task's end."""
    from rmqwork._worker import worker as supervisor

    took: dict[bool, list[float]] = {True: [], False: []}
    made = supervisor.Control

    class Without(made):  # type: ignore[misc, valid-type]
        """Knows at once."""

        def __init__(self, *given: Any) -> None:
            super().__init__(*given)

            async def nothing(_link: Any = None) -> None: ...

            self.follower.run, self.follower.known = nothing, nothing  # type: ignore[method-assign]

    for number in range(2 * count):
        on = bool(number % 2)
        supervisor.Control = made if on else Without  # type: ignore[misc]
        app = App("start", broker=BROKER, results="rpc://", queues=["start"])
        task = app.task(lambda: 1, name="start.task")
        result = task.delay()
        began = time.monotonic()
        with app.test_worker():
            result.get(30)
            took[on].append(time.monotonic() - began)
        app.close()
    for on, values in took.items():
        print(
            f"{'with' if on else 'without'} control: {count} starts, median "
            f"{statistics.median(values) * 1000:.0f} ms, best {min(values) * 1000:.0f} ms"
        )


if __name__ == "__main__":
    which, many = (sys.argv[1:] + ["answers", "50"][len(sys.argv) - 1 :])[:2]
    if which == "answers":
        asyncio.run(answers(int(many)))
    else:
        start(int(many))
