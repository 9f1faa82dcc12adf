"""A client's way to results that are in a store: asked for together, ever less often."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from itertools import islice
from typing import Final

from rmqwork._results.pending import PendingResult
from rmqwork._results.port import Store, progress_key
from rmqwork._results.record import Record, read

_log = logging.getLogger("rmqwork.results")
_MAX_IDS: Final = 500
_PAUSE_FIRST: Final = 0.002
_PAUSE_MOST: Final = 0.1
_PAUSE_BROKEN: Final = 1.0
_CLOSE_TIMEOUT: Final = 2.0
_parents: list[object] = []
"""Stores of the parent, kept in a forked child: whoever finalises them ends its connections."""


class StoredResults:
    """A `rmqwork._results.port.ResultBackend` over a store.

    One thread a process asks for all results that somebody waits for, while somebody does: after
    2 ms at first, then half as often each time, down to every 100 ms.

    Args:
        make: opens the store, on first use in each process.
    """

    reply_to = None
    problem = ""

    def __init__(self, make: Callable[[], Store]) -> None:
        self._make = make
        self._pid = 0
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._watched: weakref.WeakSet[PendingResult] = weakref.WeakSet()
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._pause = _PAUSE_FIRST

    @property
    def store(self) -> Store:
        """The store, opened in this process."""
        if self._pid != os.getpid():
            _parents.append(self._store)
            self._begin_anew()
        with self._lock:
            if self._store is None:
                self._store = self._make()
            return self._store

    def ready(self) -> Future[None] | None:
        """Always; see the port."""
        return None

    def expect(self, task_id: str, run: str | None = None) -> PendingResult:
        """See the port."""
        return PendingResult(task_id, run)

    def entry(self, task_id: str, task: str) -> PendingResult:
        """See the port."""
        return PendingResult(task_id)

    def watch(self, entry: PendingResult) -> Future[Record]:
        """Begin to look out for the final word; see the port."""
        _ = self.store
        if entry.final.done():
            return entry.final
        with self._lock:
            self._watched.add(entry)
            self._pause = _PAUSE_FIRST
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._look, name="rmqwork-results", daemon=True
                )
                self._thread.start()
        self._wake.set()
        return entry.final

    def latest(self, entry: PendingResult) -> Record | None:
        """What is known now; see the port."""
        if not entry.final.done():
            other = progress_key(entry.task_id)
            found = self.store.fetch([entry.task_id, other])
            for key in (entry.task_id, other):
                if key in found and entry.update(read(found[key])):
                    break
        return entry.latest

    def forget(self, entry: PendingResult) -> None:
        """Delete the result; see the port."""
        self.store.delete([entry.task_id, progress_key(entry.task_id)])
        entry.forget()

    def close(self) -> None:
        """Let go of connections and threads."""
        if self._pid != os.getpid():
            return
        with self._lock:
            store, self._store = self._store, None
            thread = self._thread
            self._watched.clear()
        self._wake.set()
        if thread is not None:
            thread.join(_CLOSE_TIMEOUT)
        if store is not None:
            store.close()

    def _look(self) -> None:
        """The thread: until nobody waits."""
        broken = False
        while True:
            with self._lock:
                watched, store = list(self._watched), self._store
                if not watched or store is None:
                    self._thread = None
                    return
                pause = self._pause
                self._pause = min(pause * 1.5, _PAUSE_MOST)
                self._wake.clear()
            try:
                self._ask(store, watched)
                broken = False
            except Exception as error:
                if not broken:
                    _log.warning("results cannot be asked for: %s; trying again", error)
                broken, pause = True, _PAUSE_BROKEN
            watched.clear()  # the entries of those who have given up go
            self._wake.wait(pause)

    def _ask(self, store: Store, watched: Sequence[PendingResult]) -> None:
        waiting: dict[str, list[PendingResult]] = {}
        for entry in watched:
            waiting.setdefault(entry.task_id, []).append(entry)
        ids = iter(waiting)
        while chunk := list(islice(ids, _MAX_IDS)):
            for task_id, body in store.fetch(chunk).items():
                record = read(body)
                for entry in waiting[task_id]:
                    entry.update(record)
                    if entry.final.done():
                        with self._lock:
                            self._watched.discard(entry)
                            self._pause = _PAUSE_FIRST
