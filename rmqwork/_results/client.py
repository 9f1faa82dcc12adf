"""How an app asks for results: which publications carry what, and what their publisher gets."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from rmqwork._config.result_addresses import is_store
from rmqwork._messages import headers as names
from rmqwork._results.backends import open_store
from rmqwork._results.pending import PendingResult
from rmqwork._results.port import ResultBackend, ResultOwner
from rmqwork._results.result import AsyncResult, Source
from rmqwork.errors import BrokerUnavailable, ResultsDisabled
from rmqwork.types import Publication

_making = threading.RLock()
"""Reentrant: a signal handler may interrupt its holder, and publish."""


class ResultClient:
    """The results of one app, as those see them who publish.

    Args:
        app: the app.
    """

    def __init__(self, app: ResultOwner) -> None:
        self._app = app
        self._url = app.settings.results
        self._backend: ResultBackend | None = None
        self._pid = 0

    @property
    def backend(self) -> ResultBackend | None:
        """The back end, made in this process on first use; None: the app keeps no results."""
        if self._url is None:
            return None
        if self._backend is None or self._pid != os.getpid():
            with _making:
                if self._backend is None or self._pid != os.getpid():
                    made = self._make(self._url)
                    if self._backend is None or self._pid != os.getpid():
                        self._backend, self._pid = made, os.getpid()
        return self._backend

    def _make(self, url: str) -> ResultBackend:
        app = self._app
        if is_store(url):
            from rmqwork._results.polling import StoredResults

            return StoredResults(lambda: open_store(url))
        from rmqwork._results.rpc import RpcResults
        from rmqwork._transport.connecting import connect_later

        settings = app.settings
        connector = connect_later(settings.broker, settings.heartbeat)
        return RpcResults(connector, app.name, settings.results_ttl)

    # ── before and after a publish ────────────────────────────────────────────────────────────

    def begin(self, timeout: float | None) -> None:
        """Make sure that replies have somewhere to go.

        Args:
            timeout: seconds; None = ``publish_timeout``.

        Raises:
            BrokerUnavailable: the reply queue could not be made in time.
            ConfigurationError: it cannot be made.
        """
        waiting = None if self._url is None else self._beginning()
        if waiting is None:
            return
        timeout = timeout or self._app.settings.publish_timeout
        try:
            waiting.result(timeout)
        except TimeoutError:
            raise self._not_ready(timeout) from None

    async def abegin(self, timeout: float | None) -> None:
        """`begin` for asyncio."""
        waiting = None if self._url is None else self._beginning()
        if waiting is None:
            return
        timeout = timeout or self._app.settings.publish_timeout
        try:
            await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(waiting)), timeout)
        except TimeoutError:
            raise self._not_ready(timeout) from None

    def _beginning(self) -> Future[None] | None:
        backend = self.backend
        return None if backend is None else backend.ready()

    def _not_ready(self, timeout: float) -> BrokerUnavailable:
        backend = self.backend
        problem = "" if backend is None else backend.problem
        return BrokerUnavailable(
            f"nothing was published: the queue for replies (results='rpc://') could not be made "
            f"within {timeout:g} s: {problem or 'no connection'}"
        )

    def reply_to(self, task: str) -> str | None:
        """What a publication of a task carries for its answer."""
        backend = self.backend if self._wanted(task) else None
        return None if backend is None else backend.reply_to

    def result(self, publication: Publication) -> AsyncResult[Any]:
        """What the publisher of a message gets; to be made before it is sent."""
        task_id, name = publication.message_id, publication.type or ""
        backend = self.backend if self._wanted(name) else None
        if backend is None:
            return AsyncResult(task_id, name, app=self._app)
        run = publication.headers.get(names.RUN)
        entry = backend.expect(task_id, None if run is None else str(run))
        return AsyncResult(task_id, name, self._source(backend, name, entry), app=self._app)

    @property
    def reply_queue(self) -> str | None:
        """What the publications of a workflow carry for the answers of its steps."""
        backend = self.backend
        return None if backend is None else backend.reply_to

    def result_in(
        self,
        task_id: str,
        name: str,
        parent: AsyncResult[Any] | None,
        links: Sequence[AsyncResult[Any]],
        run: str | None = None,
    ) -> AsyncResult[Any]:
        """The result of a step of a workflow; to be made before the first is sent.

        Args:
            task_id: the id that its message will have.
            name: the task's.
            parent: the result of the step before it.
            links: the results of what starts with its value.
            run: which run of a chosen id it is (`rmqwork._messages.headers.RUN`).
        """
        backend = self.backend if self._wanted(name) else None
        source = None
        if backend is not None:
            source = self._source(backend, name, backend.expect(task_id, run))
        return AsyncResult(task_id, name, source, parent=parent, children=links, app=self._app)

    def result_of(self, task_id: str, task: str) -> AsyncResult[Any]:
        """The result of a task that was published somewhere; see `Publishing.result`."""
        backend = self.backend
        if backend is None:
            raise ResultsDisabled(
                f"App {self._app.name!r} keeps no results; give it results='redis://…' or a "
                "database"
            )
        source = self._source(backend, task, backend.entry(task_id, task))
        return AsyncResult(task_id, task, source, app=self._app)

    def close(self) -> None:
        """Let go of the back end; the next use makes another."""
        backend, self._backend = self._backend, None
        if backend is not None and self._pid == os.getpid():
            backend.close()

    def _wanted(self, name: str) -> bool:
        if self._url is None:
            return False
        task = self._app.tasks.get(name)
        return task is None or not task.task_options.ignore_result

    def _source(self, backend: ResultBackend, name: str, entry: PendingResult) -> Source:
        task = self._app.tasks.get(name)
        if task is None:
            return Source(backend, entry, in_worker=self._app.publishes_in_worker)
        return Source(backend, entry, task.values, lambda: task.each, self._app.publishes_in_worker)


def _forked() -> None:
    """A forked child has a lock that nobody holds."""
    global _making
    _making = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
