"""What an executor makes of a task's value, and how it is written into a store."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from rmqwork._config.result_addresses import is_store
from rmqwork._config.settings import Settings
from rmqwork._messages import headers as names
from rmqwork._results import record
from rmqwork._results.backends import open_store
from rmqwork._results.port import Store, ValueCodec, progress_key
from rmqwork.types import Evidence, Failure, Outcome, RetryOutcome, Success

_log = logging.getLogger("rmqwork.results")
STORE_TIMEOUT: Final = 30.0
"""Seconds for which a store that does not answer is tried again before a result is given up."""
_FINAL_TIMEOUT: Final = 2.0
_PAUSE_FIRST: Final = 0.05
_PAUSE_MOST: Final = 1.0
_PROGRESS_EVERY: Final = 0.1


class ResultEncoder:
    """Makes the records of one task's successes.

    Args:
        name: the task's.
        values: how its values are written; called once, on first use.
        max_size: bytes of a record at most.
        each: whether its values are lists of the task's: of ``map`` and ``starmap``.
    """

    def __init__(
        self, name: str, values: Callable[[], ValueCodec], max_size: int, *, each: bool = False
    ) -> None:
        self._name = name
        self._each = each
        self._values = values
        self._max_size = max_size

    def record(self, value: object) -> bytes:
        """The record of a value; never raises. A value that cannot be kept makes a failure of the
        answer, and the task is a success all the same."""
        try:
            body = record.success(self.encode(value), each=self._each)
        except Exception as error:
            text = f"the task succeeded, but its value cannot be kept: {error}"
            return self._lost("ResultNotEncoded", text)
        if len(body) > self._max_size:
            text = (
                f"the task succeeded, but its value takes {len(body):,} bytes of "
                f"{self._max_size:,}; store it elsewhere and return a reference"
            )
            return self._lost("ResultTooLarge", text)
        return body

    def encode(self, value: Any) -> bytes:
        """``{"result":…}``; see `rmqwork._results.port.ValueCodec`."""
        return self._values().dump(value)

    def _lost(self, kind: str, text: str) -> bytes:
        _log.error("%s: %s", self._name, text)
        return record.failure(record.LOST, Evidence(kind, text))


class ResultWriter:
    """Writes results into a store, for a process of a worker.

    Args:
        url: of the store.
        ttl: seconds that a result is kept.
        stopping: waits as long as the worker does not shut down; returns whether it does.
    """

    def __init__(self, url: str, ttl: float, stopping: Callable[[float], bool]) -> None:
        self._url = url
        self._ttl = ttl
        self._stopping = stopping
        self._store: Store | None = None
        self._lock = threading.Lock()
        self._progress: dict[str, bytes] = {}
        self._teller: threading.Thread | None = None
        self._told = threading.Event()
        self._closed = False

    def keep(self, task_id: str, outcome: Outcome, run: object = None) -> None:
        """Write what a run came to; returns when it is there, or when it was given up.

        Args:
            task_id: of the task.
            outcome: what it came to.
            run: which run of a chosen id it was (`rmqwork._messages.headers.RUN`).
        """
        match outcome:
            case Success(_, body):
                if body is not None:
                    self.put(task_id, record.of_run(body, run))
            case Failure(_, reason, evidence):
                self.put(task_id, record.of_run(record.failure(reason, evidence), run))
            case RetryOutcome(_, _, _, evidence):
                said = record.of_run(record.retry(evidence), run)
                self._try(progress_key(task_id), said)

    def put(self, task_id: str, body: bytes) -> None:
        """Write a final record; waits for a store that is away, for some time."""
        end, pause = time.monotonic() + STORE_TIMEOUT, _PAUSE_FIRST
        while (error := self._try(task_id, body)) is not None:
            if time.monotonic() >= end:
                _log.error(
                    "the result of %s is lost, its task is not: the store did not take it within "
                    "%g s: %s",
                    task_id,
                    STORE_TIMEOUT,
                    error,
                )
                return
            if self._stopping(pause):
                end = min(end, time.monotonic() + _FINAL_TIMEOUT)
                time.sleep(pause)
            pause = min(pause * 2, _PAUSE_MOST)

    def progress(
        self, task_id: str, current: float, total: float | None, run: object = None
    ) -> None:
        """Note how far a task is; written soon, by a thread of its own, the last word only."""
        with self._lock:
            self._progress[task_id] = record.of_run(record.started(current, total), run)
            if self._teller is None:
                self._teller = threading.Thread(
                    target=self._tell, name="rmqwork-progress", daemon=True
                )
                self._teller.start()
        self._told.set()

    def close(self) -> None:
        """Let go of the store; the next result opens it again."""
        self._closed = True
        self._told.set()
        if self._teller is not None:
            self._teller.join(_FINAL_TIMEOUT)
        with self._lock:
            store, self._store = self._store, None
        if store is not None:
            store.close()

    def _tell(self) -> None:
        while self._told.wait() and not self._closed:
            with self._lock:
                told, self._progress = self._progress, {}
                self._told.clear()
            for task_id, said in told.items():
                self._try(progress_key(task_id), said)
            time.sleep(_PROGRESS_EVERY)

    def _try(self, key: str, body: bytes) -> Exception | None:
        try:
            self._opened().put(key, body, self._ttl)
        except Exception as error:
            return error
        return None

    def _opened(self) -> Any:
        with self._lock:
            if self._store is None:
                self._store = open_store(self._url)
            return self._store


Keep = Callable[[tuple[Any, ...], Outcome], Outcome]
"""Writes an outcome's result into a store before it is reported, given the delivery message (see
`rmqwork._tasks.execution.TaskRunner.prepare`); blocks; returns what is to be reported."""


def keeper_of(settings: Settings, stopping: Callable[[float], bool]) -> ResultWriter | None:
    """The keeper that the settings come to; None: results go into no store."""
    if settings.results is None or not is_store(settings.results):
        return None
    return ResultWriter(settings.results, settings.results_ttl, stopping)


def keeping(keeper: ResultWriter, wanted: Callable[[str], bool]) -> Keep:
    """What writes the results of executors.

    Args:
        keeper: writes.
        wanted: whether the results of a task of this name are kept.
    """

    def keep(message: tuple[Any, ...], outcome: Outcome) -> Outcome:
        task, task_id, extras = message[3], message[7], message[10]
        if wanted(task):
            headers = message[8]
            keeper.keep(task_id, outcome, headers.get(names.RUN) if headers else None)
        wanted_here = extras and ("reply" in extras or "value" in extras)
        if isinstance(outcome, Success) and not wanted_here:
            return Success(outcome.duration)
        return outcome

    return keep
