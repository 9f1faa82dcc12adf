"""Leave with nothing lost.

Cancel the consumers, hand back what has not started, wait for what runs. At the soft deadline tasks
are told, and coroutines cancelled; at the hard one executors are killed, and what they had not
finished is handed back. Then confirms and acks are seen to arrive, and the connections close.

A connection that is just closed would count as a failed delivery for each message that it holds,
started or not (FACTS: RabbitMQ 4.3, 4.0).
"""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import Final

from rmqwork._config.grace import SOFT
from rmqwork._worker.worker import Worker

_log = logging.getLogger("rmqwork.worker")
EXIT_ALL_DONE: Final = 0
EXIT_HANDED_BACK: Final = 3
_SETTLE_TIMEOUT: Final = 5.0
_EXIT_TIMEOUT: Final = 3.0
_POLL: Final = 0.01


def soft_deadline(grace: float) -> float:
    """Seconds after which tasks are told that the end is near: four fifths of the grace."""
    return grace * SOFT


async def shut_down(worker: Worker, grace: float, at_once: asyncio.Event) -> int:
    """End a worker.

    Args:
        worker: which.
        grace: seconds until running tasks are handed back.
        at_once: set when there is no more patience (a second signal).

    Returns:
        the exit code: 0, or 3 when tasks were handed back unfinished or an outcome could not be
        settled.
    """
    began = monotonic()
    worker.stop()
    executors = worker.pool.template.executors
    for executor in executors.values():
        executor.give_back()
    await worker.consumption.stop()
    worker.waiting.return_all()
    if not await _idle(worker, began + soft_deadline(grace), at_once):
        _log.warning("the end is near for %d tasks", _count(worker))
        for executor in list(executors.values()):
            executor.stopping()
            executor.cancel_async()
        if not await _idle(worker, began + grace, at_once):
            await _kill(worker)
    sure = await worker.settlement.close(_SETTLE_TIMEOUT)
    await _end_executors(worker)
    await worker.joins.close()
    await worker.consumption.close()
    left = await _disconnect(worker)
    worker.failures.close()
    for held in worker.outcomes.unfinished:
        _log.warning(
            "handed back unfinished: %s (%s, queue %s)",
            held.task_id,
            held.delivery.type,
            held.queue,
        )
    problems = _problems(worker, sure, left)
    for problem in problems:
        _log.warning("%s", problem)
    return EXIT_HANDED_BACK if worker.outcomes.unfinished or problems else EXIT_ALL_DONE


def _problems(worker: Worker, sure: bool, left: int) -> list[str]:
    """Why the broker may not know of all that was done; such tasks run again."""
    problems = []
    if worker.settlement.unsettled:
        problems.append(
            f"{worker.settlement.unsettled} outcomes were not settled when their connection was "
            "lost, and no new one was there to settle them: those tasks run again"
        )
    if worker.settlement.open:
        problems.append(
            f"{len(worker.settlement.open)} tasks are done, and what follows from them could not "
            f"be published within {_SETTLE_TIMEOUT:g} s: they run again"
        )
    elif not sure:
        problems.append(
            f"the broker did not say within {_SETTLE_TIMEOUT:g} s that the last acks have arrived: "
            "their tasks may run again"
        )
    if left:
        problems.append(f"{left} messages that tasks published could not be confirmed")
    return problems


def _count(worker: Worker) -> int:
    return sum(1 for _ in worker.dispatcher.running)


async def _idle(worker: Worker, until: float, at_once: asyncio.Event) -> bool:
    """Wait until no executor has anything; false at the deadline, or when patience ends."""
    while _count(worker):
        if monotonic() >= until or at_once.is_set():
            return False
        await asyncio.sleep(_POLL)
    return True


async def _kill(worker: Worker) -> None:
    """The hard stop: what the executors had not finished is reported by their deaths."""
    for executor in list(worker.pool.template.executors.values()):
        executor.kill()
    until = monotonic() + _EXIT_TIMEOUT
    while _count(worker) and monotonic() < until:
        await asyncio.sleep(_POLL)


async def _disconnect(worker: Worker) -> int:
    """End the publisher, even one that does not want to; returns what it could not publish."""
    try:
        return await asyncio.wait_for(worker.publisher.close(_POLL), _EXIT_TIMEOUT)
    except TimeoutError:
        return worker.publisher.owed


async def _end_executors(worker: Worker) -> None:
    """Let lifespans end; kill what does not."""
    template = worker.pool.template
    for executor in list(template.executors.values()):
        executor.exit()
    until = monotonic() + _EXIT_TIMEOUT
    while template.executors and monotonic() < until:
        await asyncio.sleep(_POLL)
    await template.close()
