"""What a worker tells of itself: executors, what runs and since when, what waits, memory."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

from rmqwork._control.wire import Command, CommandRefused
from rmqwork._publisher.publisher import Publisher
from rmqwork._worker.consume.consumption import ConsumerConnection
from rmqwork._worker.consume.kill_switches import KillSwitches
from rmqwork._worker.dispatch.dispatcher import Dispatcher
from rmqwork._worker.dispatch.ready import Ready
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.model.plan import WorkerSpec
from rmqwork._worker.processes.executor import Executor
from rmqwork._worker.processes.executor_pool import ExecutorPool
from rmqwork._worker.processes.recycling import resident
from rmqwork._worker.settle.settlement import Settlement
from rmqwork._workflows.document import workflow_id
from rmqwork._workflows.join import Gathering

STACK_TIMEOUT: Final = 2.0
"""Seconds in which an executor says where a task stands."""
MAX_TASKS: Final = 500
"""Running tasks in one answer; the oldest of them."""
MAX_JOINS: Final = 500


class Joins(Protocol):
    """The joins of a worker."""

    @property
    def open(self) -> int:
        """How many it gathers the parts of."""
        ...

    def summary(self) -> Sequence[Gathering]:
        """They, the oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a worker that are looked at.

    Args:
        plan: as it is now.
        stopping: whether the worker shuts down.
        in_place: how many messages wait in their partitions for their next attempt.
    """

    plan: Callable[[], WorkerSpec]
    stopping: Callable[[], bool]
    in_place: Callable[[], int]
    ready: Ready
    dispatcher: Dispatcher[Executor]
    staff: ExecutorPool
    consumption: ConsumerConnection
    publisher: Publisher
    settlement: Settlement
    switches: KillSwitches
    joins: Joins


class Inspection:
    """Looks at one worker.

    Args:
        parts: of it.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._began = time.monotonic()

    def tell(self, command: Command) -> dict[str, Any]:
        """The answer to ``inspect``."""
        from rmqwork._version import __version__

        worker, plan = self._parts, self._parts.plan()
        running, prefetched = self._tasks()
        switches = worker.switches.detail()
        waiting = Counter(held.queue for held in worker.ready)
        waiting.update(held.queue for held in worker.dispatcher.suspects)
        return {
            "version": __version__,
            "up_s": round(time.monotonic() - self._began, 1),
            "memory": resident(os.getpid()),
            "slots": dict(plan.slots),
            "processes": plan.processes,
            "queues": [
                {
                    "queue": queue,
                    "prefetch": worker.consumption.prefetch(queue),
                    "paused": sorted(worker.consumption.reasons(queue)),
                    "kill_switch": switches.get(queue),
                    "prefetched": waiting[queue] + prefetched[queue],
                }
                for queue, _ in plan.queues
            ],
            "executors": [
                {**one, "memory": resident(int(str(one["pid"])))}
                for one in worker.staff.summary()
                if one["pid"]
            ],
            "tasks": running[:MAX_TASKS],
            "more_tasks": max(0, len(running) - MAX_TASKS),
            "joins": [asdict(one) for one in worker.joins.summary()[:MAX_JOINS]],
            "more_joins": max(0, worker.joins.open - MAX_JOINS),
            "settling": len(worker.settlement.open),
            "stopping": worker.stopping(),
        }

    def detail(self) -> dict[str, object]:
        """What probes and people are told."""
        worker, plan = self._parts, self._parts.plan()
        return {
            "worker": plan.name,
            "app": plan.manifest.app,
            "queues": [queue for queue, _ in plan.queues],
            "consuming": worker.consumption.consuming,
            "publishing": worker.publisher.connected,
            "started": worker.consumption.may_start.is_set(),
            "stopping": worker.stopping(),
            "executors": worker.staff.summary(),
            "running": len(list(worker.dispatcher.running)),
            "waiting": len(worker.ready),
            "waiting_in_place": worker.in_place(),
            "settling": len(worker.settlement.open),
            "joins": worker.joins.open,
            "dropped_replies": worker.settlement.dropped_replies,
            "kill_switches": worker.switches.detail(),
            "problem": str(worker.consumption.problem or worker.publisher.problem or ""),
        }

    def _tasks(self) -> tuple[list[dict[str, Any]], Counter[str]]:
        """What runs, the oldest first; and how much of each queue waits in executors."""
        now = time.monotonic()
        running: list[dict[str, Any]] = []
        unstarted: Counter[str] = Counter()
        for seat in self._parts.dispatcher.seats:
            started = seat.executor.started()
            for number, held in seat.held.items():
                since = started.get(number)
                if since is None:
                    unstarted[held.queue] += 1
                    continue
                running.append(
                    {
                        "id": held.task_id,
                        "task": held.delivery.type,
                        "workflow": workflow_id(held.delivery.headers),
                        "queue": held.queue,
                        "attempt": held.attempt,
                        "age_s": round(now - since, 3),
                        "executor": seat.executor.pid,
                    }
                )
        running.sort(key=lambda one: -one["age_s"])
        return running, unstarted


class Stacks:
    """Asks executors where their tasks stand.

    Args:
        dispatcher: knows which executor has which task.
        timeout: seconds in which an executor says where a task stands.
    """

    def __init__(self, dispatcher: Dispatcher[Executor], *, timeout: float = STACK_TIMEOUT) -> None:
        self._timeout = timeout
        self._dispatcher = dispatcher
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[str]] = {}

    def answered(self, request: int, text: str) -> None:
        """An executor has answered."""
        future = self._asked.get(request)
        if future is not None and not future.done():
            future.set_result(text)

    async def tell(self, command: Command) -> dict[str, Any] | None:
        """The answer to ``stack``; None: the task does not run here.

        Raises:
            CommandRefused: its process does not answer.
        """
        wanted = str(command.what.get("id"))
        for seat in self._dispatcher.seats:
            for number, held in seat.held.items():
                if held.task_id == wanted:
                    return await self._ask(seat.executor, number, held)
        return None

    async def _ask(self, executor: Executor, number: int, held: HeldDelivery) -> dict[str, Any]:
        request = next(self._numbers)
        future = self._asked[request] = asyncio.get_running_loop().create_future()
        executor.stack(request, number)
        try:
            stack = await asyncio.wait_for(future, self._timeout)
        except TimeoutError:
            raise CommandRefused(
                f"executor {executor.pid} did not answer within {self._timeout:g} s: C code in it "
                "holds the GIL, or it is stopped"
            ) from None
        finally:
            del self._asked[request]
        return {
            "id": held.task_id,
            "task": held.delivery.type,
            "executor": executor.pid,
            "stack": stack,
        }
