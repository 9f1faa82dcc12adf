"""What a worker tells of itself: executors, what runs and since when, what waits, memory."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from rmqwork._control.wire import Command, CommandRefused
from rmqwork._worker.processes.recycling import resident
from rmqwork._workflows.document import workflow_id

if TYPE_CHECKING:
    from rmqwork._worker.model.held import HeldDelivery
    from rmqwork._worker.processes.executor import Executor
    from rmqwork._worker.worker import Worker

STACK_PATIENCE: Final = 2.0
"""Seconds in which an executor says where a task stands."""
MOST_TASKS: Final = 500
"""Running tasks in one answer; the oldest of them."""
MOST_JOINS: Final = 500


class Inspection:
    """Looks at one worker.

    Args:
        worker: which.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._began = time.monotonic()

    def tell(self, command: Command) -> dict[str, Any]:
        """The answer to ``inspect``."""
        from rmqwork._version import __version__

        worker = self._worker
        running, prefetched = self._tasks()
        switches = worker.switches.detail()
        waiting = Counter(held.queue for held in worker.ready)
        waiting.update(held.queue for held in worker.dispatcher.suspects)
        return {
            "version": __version__,
            "up_s": round(time.monotonic() - self._began, 1),
            "memory": resident(os.getpid()),
            "slots": dict(worker.plan.slots),
            "processes": worker.plan.processes,
            "queues": [
                {
                    "queue": queue,
                    "prefetch": worker.consumption.prefetch(queue),
                    "paused": sorted(worker.consumption.reasons(queue)),
                    "kill_switch": switches.get(queue),
                    "prefetched": waiting[queue] + prefetched[queue],
                }
                for queue, _ in worker.plan.queues
            ],
            "executors": [
                {**one, "memory": resident(int(str(one["pid"])))}
                for one in worker.staff.summary()
                if one["pid"]
            ],
            "tasks": running[:MOST_TASKS],
            "more_tasks": max(0, len(running) - MOST_TASKS),
            "joins": [asdict(one) for one in worker.joins.summary()[:MOST_JOINS]],
            "more_joins": max(0, worker.joins.open - MOST_JOINS),
            "settling": len(worker.settlement.open),
            "stopping": worker.stopping,
        }

    def _tasks(self) -> tuple[list[dict[str, Any]], Counter[str]]:
        """What runs, the oldest first; and how much of each queue waits in executors."""
        now = time.monotonic()
        running: list[dict[str, Any]] = []
        unstarted: Counter[str] = Counter()
        for seat in self._worker.dispatcher.seats:
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
        worker: whose executors.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
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
            Cannot: its process does not answer.
        """
        wanted = str(command.what.get("id"))
        for seat in self._worker.dispatcher.seats:
            for number, held in seat.held.items():
                if held.task_id == wanted:
                    return await self._ask(seat.executor, number, held)
        return None

    async def _ask(self, executor: Executor, number: int, held: HeldDelivery) -> dict[str, Any]:
        request = next(self._numbers)
        future = self._asked[request] = asyncio.get_running_loop().create_future()
        executor.stack(request, number)
        try:
            stack = await asyncio.wait_for(future, STACK_PATIENCE)
        except TimeoutError:
            raise CommandRefused(
                f"executor {executor.pid} did not answer within {STACK_PATIENCE:g} s: C code in it "
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


def detail_of(worker: Worker) -> Mapping[str, object]:
    """What probes and people are told."""
    return {
        "worker": worker.plan.name,
        "app": worker.plan.manifest.app,
        "queues": [queue for queue, _ in worker.plan.queues],
        "consuming": worker.consumption.consuming,
        "publishing": worker.publisher.connected,
        "started": worker.consumption.may_start.is_set(),
        "stopping": worker.stopping,
        "executors": worker.staff.summary(),
        "running": len(list(worker.dispatcher.running)),
        "waiting": len(worker.ready),
        "waiting_in_place": worker.lines.waiting,
        "settling": len(worker.settlement.open),
        "joins": worker.joins.open,
        "dropped_replies": worker.settlement.dropped_replies,
        **worker.control.detail(),
        "kill_switches": worker.switches.detail(),
        "problem": str(worker.consumption.problem or worker.publisher.problem or ""),
    }
