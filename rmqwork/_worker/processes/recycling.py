"""Executors that have done enough, or have grown too large, are replaced between tasks.

The replacement is forked and ready before the old one stops taking deliveries; the old one then
finishes what runs, gives back the rest, and leaves. One at a time: all executors of a worker come
of age together, and two processes for each would need twice the memory.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from rmqwork._config.sizes import show_size
from rmqwork._worker.processes.executor import Executor, State

_log = logging.getLogger("rmqwork.worker.processes")
_CHECK_INTERVAL: Final = 1.0
_LEAVING_MOST: Final = 30.0
"""Seconds that an executor may take to leave after its last task (its lifespan ends, `atexit`)."""
_RETRY: Final = 10.0
"""Seconds until another replacement is tried after one that did not become ready."""
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def resident(pid: int) -> int | None:
    """The bytes of memory that a process has in use now; None where that is not known (proc(5),
    ``statm``: Linux only).
    """
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return None


@dataclass(slots=True)
class Recycling:
    """Who is replaced, and by whom.

    Args:
        max_tasks: tasks after which an executor is replaced; None = never.
        max_memory: bytes of resident memory above which it is; None = any.
        fork: starts an executor; None when none can be had now.
        retire: has an executor take nothing more, finish and leave.
        resident: how much memory a process has; see `resident`.
        clock: seconds that only grow.
    """

    max_tasks: int | None
    max_memory: int | None
    fork: Callable[[], Executor | None]
    retire: Callable[[Executor], None]
    resident: Callable[[int], int | None] = resident
    clock: Callable[[], float] = monotonic
    _pair: tuple[Executor, Executor] | None = None
    """One that is to leave, and its replacement that is not ready yet."""
    _leaving: dict[Executor, float] = field(default_factory=dict)
    _not_before: float = float("-inf")
    _next_look: float = float("-inf")
    _too_small: bool = False

    def look(self, executor: Executor) -> None:
        """Tasks of an executor have come to their end."""
        if self.max_tasks is not None and executor.finished >= self.max_tasks:
            self.replace(executor, f"it has run {executor.finished} tasks (max_tasks)")

    def watch(self, executors: Iterable[Executor]) -> None:
        """Look at their memory now and then; end those that do not leave."""
        now = self.clock()
        if now < self._next_look:
            return
        self._next_look = now + _CHECK_INTERVAL
        for executor in executors:
            if self.max_memory is not None and executor.pid not in (None, os.getpid()):
                self._weigh(executor, self.max_memory)
        for executor, since in self._leaving.items():
            if executor.outstanding:
                self._leaving[executor] = now
            elif now - since > _LEAVING_MOST:
                _log.warning("executor %s does not leave: killed", executor.pid)
                executor.kill()

    def _weigh(self, executor: Executor, most: int) -> None:
        size = self.resident(executor.pid or 0)
        if size is None or size <= most or executor.state is not State.READY:
            return
        if executor.finished:
            self.replace(executor, f"it has {show_size(size)} (max_memory {show_size(most)})")
        elif not self._too_small:
            self._too_small = True
            _log.warning(
                "max_memory is %s, and an executor of this app has %s before its first task: each "
                "is replaced after every few tasks",
                show_size(most),
                show_size(size),
            )

    def counts(self, executor: Executor) -> bool:
        """Whether it is one of those that a worker is to have: it neither leaves, nor stands by."""
        return executor not in self._leaving and not (self._pair and executor is self._pair[1])

    def dismiss(self, executor: Executor) -> None:
        """Have an executor leave without a replacement."""
        if executor not in self._leaving:
            self._leaving[executor] = self.clock()
            self.retire(executor)

    def replace(self, old: Executor, why: str) -> None:
        """Have an executor leave when another one has its place; not while another one does."""
        busy = self._pair is not None or self.clock() < self._not_before
        if busy or old.state is not State.READY or old in self._leaving:
            return
        new = self.fork()
        if new is not None:
            _log.info("executor %s is being replaced: %s", old.pid, why)
            self._pair = (old, new)

    def ready(self, executor: Executor) -> None:
        """An executor takes deliveries from now on; the one that it replaces need not."""
        if self._pair is not None and self._pair[1] is executor:
            (old, _), self._pair = self._pair, None
            self._leaving[old] = self.clock()
            _log.info(
                "executor %s has the place of executor %s, which leaves", executor.pid, old.pid
            )
            self.retire(old)

    def died(self, executor: Executor) -> bool:
        """An executor is dead; returns whether another one has its place already."""
        if self._leaving.pop(executor, None) is not None:
            return True
        if self._pair is None or executor not in self._pair:
            return False
        if executor is self._pair[1]:
            self._not_before = self.clock() + _RETRY
        self._pair = None
        return True
