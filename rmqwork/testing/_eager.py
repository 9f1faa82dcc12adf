"""Run tasks where they are published: no broker, no worker, no delay.

It shows what a task does, and nothing of what becomes of messages; for that, see `Kit.run_all`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from rmqwork._messages import headers as names
from rmqwork._publisher.sender import Sender
from rmqwork._topology.join_queues import TYPE as JOIN
from rmqwork._workflows.document import Workflow
from rmqwork.errors import (
    InvalidMessage,
    PublishError,
    TaskFailed,
    TaskRejected,
    TimeLimitExceeded,
    UnknownTask,
)
from rmqwork.testing._eager_workflows import EagerWorkflows
from rmqwork.testing._idle import run
from rmqwork.testing.worker import Run
from rmqwork.types import Failure, Outcome, Publication, Reason, Replaced, RetryOutcome

if TYPE_CHECKING:
    from rmqwork._tasks.app import App
    from rmqwork._tasks.execution import TaskRunner

_MAX_ATTEMPTS: Final = 1000
_ERRORS: Final = {Reason.TIME_LIMIT: TimeLimitExceeded, Reason.REJECTED: TaskRejected}


class Eager:
    """Runs what an app publishes, at once and to its end, retries without their waits.

    Attributes:
        runs: what ran.
        raises: whether a task that failed for good raises `rmqwork.TaskFailed` out of ``delay``.
    """

    def __init__(self, app: App) -> None:
        self.runs: list[Run] = []
        self.raises = True
        self._app = app
        self._runner: TaskRunner | None = None
        self._lock = threading.RLock()
        self._workflows = EagerWorkflows()

    def submit(
        self, publications: Sequence[Publication], timeout: float
    ) -> Future[list[PublishError | None]]:
        """Run them, one after the other."""
        future: Future[list[PublishError | None]] = Future()
        try:
            for publication in publications:
                self._run(publication)
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result([None] * len(publications))
        return future

    def close(self, timeout: float) -> int:
        """Nothing is ever under way."""
        return 0

    def _run(self, publication: Publication) -> None:
        """Run a message, and all that follows from it."""
        waiting = [publication]
        failed: Exception | None = None
        while waiting:
            one = waiting.pop()
            if one.type == JOIN:
                waiting += reversed(self._workflows.joined(one))
                continue
            workflow, plain = self._workflows.plain(one)
            outcome = self._attempts(plain, wanted=workflow is not None)
            if workflow is None and isinstance(outcome, Replaced):
                workflow = Workflow(one.message_id)
            if workflow is not None:
                waiting += reversed(self._workflows.after(workflow, one, outcome))
            if isinstance(outcome, Failure) and failed is None:
                failed = _error(outcome, one)
        if failed is not None and self.raises:
            raise failed

    def _attempts(self, publication: Publication, *, wanted: bool) -> Outcome | None:
        """Run one message to its end; ``wanted``: something takes its value."""
        attempt = 1
        for _ in range(_MAX_ATTEMPTS):
            outcome = self._once(publication, attempt, wanted)
            task, queue = publication.type or "", publication.routing_key
            self.runs.append(Run(task, publication.message_id, queue, attempt, outcome))
            if not isinstance(outcome, RetryOutcome):
                return outcome
            attempt += outcome.counts
        raise AssertionError(f"{publication.type!r} ran {_MAX_ATTEMPTS} times and has no end")

    def _once(self, publication: Publication, attempt: int, wanted: bool) -> Outcome | None:
        runner = self._runner_of_app()
        headers = {**publication.headers, names.ATTEMPT: attempt}
        encoding = publication.content_encoding
        extras: dict[str, object] = {"value": True} if wanted else {}
        if encoding is not None:
            extras["content_encoding"] = encoding
        message = (
            "d",
            0,
            publication.routing_key,
            publication.type,
            publication.body,
            attempt,
            False,
            publication.message_id,
            headers,
            publication.content_type,
            extras or None,
        )
        prepared = runner.prepare(message)
        if isinstance(prepared, Failure):
            return prepared
        if self._app.tasks[publication.type or ""].parameters.is_async:
            return run(runner.arun(prepared))
        return runner.run(prepared)

    def _runner_of_app(self) -> TaskRunner:
        with self._lock:
            if self._runner is None:
                self._runner = self._app.runner(self._app.state)
            return self._runner


def _error(outcome: Failure, publication: Publication) -> Exception:
    evidence = outcome.evidence
    text = f"{evidence.type}: {evidence.message}"
    if outcome.reason is Reason.INVALID_MESSAGE:
        return InvalidMessage(f"{publication.type}: {evidence.message}")
    if outcome.reason is Reason.UNKNOWN_TASK:
        return UnknownTask(evidence.message)
    kind: type[TaskFailed] = _ERRORS.get(outcome.reason, TaskFailed)
    return kind(
        f"{text}\n{evidence.traceback}".rstrip(),
        remote_type=evidence.type,
        remote_traceback=evidence.traceback,
        task_id=publication.message_id,
    )


@contextmanager
def eager(app: App) -> Iterator[Eager]:
    """Run an app's tasks where they are published; its lifespan is entered for as long.

    A sync lifespan only: an async one belongs to an event loop that lives on; use `memory` there.

    Raises:
        TypeError: the lifespan is async.
    """
    opened: Any = app.open_lifespan()
    if opened is not None and not hasattr(opened, "__enter__"):
        raise TypeError(f"{app!r} has an async lifespan; test it with rmqwork.testing.memory")
    sender, before = app._sender, app._state
    port = Eager(app)
    app._sender = Sender(lambda: port, app.hooks)
    try:
        if opened is None:
            yield port
        else:
            with opened as state:
                app._state = state
                yield port
    finally:
        app._sender, app._state = sender, before
