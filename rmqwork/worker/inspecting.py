"""What a worker tells of itself: executors, what runs and since when, what waits, memory."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rmqwork.control.wire import Command

if TYPE_CHECKING:
    from rmqwork.worker.supervisor import Worker

MOST_TASKS: Final = 500
"""Running tasks in one answer; the oldest of them."""


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
        from rmqwork import __version__

        worker = self._worker
        running, prefetched = self._tasks()
        switches = worker.switches.detail()
        waiting = Counter(held.queue for held in worker.ready)
        waiting.update(held.queue for held in worker.dispatcher.suspects)
        return {
            "version": __version__,
            "up_s": round(time.monotonic() - self._began, 1),
            "memory": memory_of(os.getpid()),
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
                {**one, "memory": memory_of(one["pid"])}  # type: ignore[arg-type]
                for one in worker.staff.summary()
            ],
            "tasks": running[:MOST_TASKS],
            "more_tasks": max(0, len(running) - MOST_TASKS),
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
                        "queue": held.queue,
                        "attempt": held.attempt,
                        "age_s": round(now - since, 3),
                        "executor": seat.executor.pid,
                    }
                )
        running.sort(key=lambda one: -one["age_s"])
        return running, unstarted


def memory_of(pid: int | None) -> int | None:
    """Bytes that a process has in memory; None where that cannot be told (no Linux, it is gone)."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
