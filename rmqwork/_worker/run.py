"""Run a worker from its start to its exit code."""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import signal
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from rmqwork._config import logging as logs
from rmqwork._config.readers import mask
from rmqwork.errors import BrokerUnavailable, ConfigurationError

if TYPE_CHECKING:
    from rmqwork._worker.health.health import HealthServer
    from rmqwork._worker.ipc.death import Death
    from rmqwork._worker.ipc.wire import Message
    from rmqwork._worker.model.options import WorkerOptions
    from rmqwork._worker.model.plan import WorkerSpec
    from rmqwork._worker.processes.executor import Executor
    from rmqwork._worker.processes.launch import Started
    from rmqwork._worker.processes.template import PoolEvents, Template
    from rmqwork._worker.worker import Worker

_log = logging.getLogger("rmqwork.worker")
T = TypeVar("T")
_TEMPLATES: Final = 3
"""Templates that may be killed at the start, before the worker gives up."""
_IMPORTING: Final = 0.1
"""Seconds for a template to end that may still import the app, and then does not listen."""


def run(options: WorkerOptions, first: Started, start: Callable[[], Started]) -> int:
    """Run a worker whose template is started; see `rmqwork._worker.starting.run_worker`.

    Args:
        options: see `WorkerOptions`.
        first: its template.
        start: starts another one.
    """
    logs.configure(options.log_format, options.log_level)
    return asyncio.run(_run(options, first, start))


def _collect_seldom() -> None:
    """Look for cycles of garbage less often.

    Deliveries come and go by the ten thousand a second, and hardly a cycle is among them: the
    collector's default is a tenth of this process's CPU time. No user code runs here.
    """
    gc.freeze()  # what was imported stays
    gc.set_threshold(20_000, 20, 50)
    gc.enable()  # it is off at the start, see `rmqwork._cli.entry.main`


async def _run(options: WorkerOptions, first: Started, start: Callable[[], Started]) -> int:
    from rmqwork._worker.processes.template import Template

    events = _Events()

    def new_template() -> Template:
        return Template(start(), events)

    template = Template(first, events)
    signals = _Signals()
    left = _TEMPLATES
    while True:
        left -= 1
        try:
            worker = await _prepare(options, template, new_template, signals)
            break
        except BaseException as error:
            await template.close()
            if not (left and _was_killed(error)):
                raise
            _log.warning("%s; starting another one", error)
            template = new_template()
    if worker is None:
        await template.close(_IMPORTING)
        return 0
    events.pass_to(worker.reports)
    _collect_seldom()
    return await work(worker, signals)


def _was_killed(error: BaseException) -> bool:
    """Whether a signal ended the template while it imported the app."""
    from rmqwork._worker.processes.template import TemplateKilled

    return isinstance(error, TemplateKilled)


async def _prepare(
    options: WorkerOptions,
    template: Template,
    new_template: Callable[[], Template],
    signals: _Signals,
) -> Worker | None:
    """The worker that options and app come to; None when a signal comes before."""
    # Imported while the template imports the app: two processes, and a start that is sooner.
    for module in ("_transport.amqp.connector", "_worker.orphans", "_worker.shutdown"):
        importlib.import_module(f"rmqwork.{module}")
    from rmqwork._config.manifest import Manifest
    from rmqwork._worker.model.plan import worker_spec
    from rmqwork._worker.worker import Worker

    manifest = await signals.unless_stopped(template.manifest())
    if manifest is None:
        return None
    plan = worker_spec(options, Manifest.from_dict(manifest))
    for remark in plan.grace_remarks():
        _log.warning("%s", remark)
    if plan.broker[0].startswith("memory:"):
        _log.warning(
            "%s is a broker inside this worker: only its own tasks and lifespan can publish to it, "
            "and what it holds ends with it; for anything else set RMQWORK_BROKER=amqp://…",
            plan.broker[0],
        )
    return Worker(plan, template, new_template, signals.stop.set)


class _Signals:
    """SIGTERM and SIGINT: the first asks for a shutdown, the second for one at once."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.at_once = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal)

    def _on_signal(self) -> None:
        (self.at_once if self.stop.is_set() else self.stop).set()

    async def unless_stopped(self, work: Awaitable[T]) -> T | None:
        """Wait for some work; None when a signal comes before it is done."""
        return await _first(work, self.stop.wait())


async def _first(work: Awaitable[T], *others: Awaitable[object]) -> T | None:
    """Wait for some work, or for the first of others: then None."""
    main = asyncio.ensure_future(work)
    tasks: list[asyncio.Future[Any]] = [main, *map(asyncio.ensure_future, others)]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        if not task.done():
            task.cancel()
    return main.result() if main.done() and not main.cancelled() else None


class Stop(Protocol):
    """What ends a worker."""

    stop: asyncio.Event
    """Set when it is to shut down."""
    at_once: asyncio.Event
    """Set when there is no more patience with what runs."""


async def work(worker: Worker, signals: Stop) -> int:
    """Start, work until told to stop, shut down; returns the exit code.

    Raises:
        ConfigurationError: the topology does not suit, or no executor can be had.
        BrokerUnavailable: no broker within ``broker_wait``.
    """
    from rmqwork._worker.orphans import reap_orphans
    from rmqwork._worker.shutdown import shut_down

    plan = worker.plan
    health = None if plan.health_port is None else _health(worker, plan.health_port)
    worker.pool.start()
    consuming = asyncio.create_task(
        worker.consumption.run(worker.control.follower), name="rmqwork-consume"
    )
    ticking = asyncio.create_task(worker.tick(), name="rmqwork-tick")
    reaping = asyncio.create_task(reap_orphans(lambda: worker.pool.template.pid))
    code = 1
    try:
        await _until_stopped(worker, consuming, signals)
        _log.info("stopping: no new task starts; %g s grace for those that run", plan.grace)
    finally:
        code = await shut_down(worker, plan.grace, signals.at_once)
        for task in (consuming, ticking, reaping):
            task.cancel()
        await asyncio.gather(consuming, ticking, reaping, return_exceptions=True)
        if health is not None:
            health.close()
    _log.info("stopped: %s", "all finished" if code == 0 else f"exit code {code}")
    return code


def _health(worker: Worker, port: int) -> HealthServer:
    from rmqwork._worker.health.health import HealthServer

    return HealthServer(worker, port)


def _no_answer(plan: WorkerSpec) -> str:
    label = ", ".join(mask(url) for url in plan.broker)
    return f"no answer from {label}; does RabbitMQ listen there?"


async def _until_stopped(worker: Worker, consuming: asyncio.Task[None], signals: Stop) -> None:
    """Returns when a signal comes; raises what makes going on impossible."""
    plan = worker.plan
    failure = worker.pool.failure
    connected = asyncio.create_task(worker.consumption.connected.wait())
    stopped = asyncio.create_task(signals.stop.wait())
    waits: list[asyncio.Future[Any]] = [connected, consuming, stopped, failure]
    try:
        await asyncio.wait(waits, timeout=plan.broker_wait, return_when=asyncio.FIRST_COMPLETED)
        if not any(wait.done() for wait in waits):
            raise BrokerUnavailable(
                f"no broker within {plan.broker_wait:g} s (--broker-wait): "
                f"{worker.consumption.problem or _no_answer(plan)}"
            )
        if connected.done():  # and an executor may yet fail to start
            waits[0] = asyncio.create_task(worker.consumption.may_start.wait())
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if waits[0].done() and not stopped.done():
                _tell(plan)
        await asyncio.wait(waits[1:], return_when=asyncio.FIRST_COMPLETED)
        if consuming.done():
            consuming.result()
        if failure.done():
            raise ConfigurationError(f"no executor can be started: {failure.result()}")
    finally:
        connected.cancel()
        waits[0].cancel()
        stopped.cancel()


def _tell(plan: WorkerSpec) -> None:
    """Say what the worker does now."""
    _log.info("%s", plan.summary)
    if plan.without_limit:
        _log.info(
            "no time limit: %s; a run longer than the broker's consumer_timeout (30 min by "
            "default) is repeated",
            ", ".join(plan.without_limit[:10]),
        )


class _Events:
    """Passes on to the worker what its processes do, once there is a worker."""

    def __init__(self) -> None:
        self._reports: PoolEvents | None = None

    def pass_to(self, reports: PoolEvents) -> None:
        """Pass on what happens from now on; before, executors are not forked."""
        self._reports = reports

    def on_ready(self, executor: Executor) -> None:
        """See `rmqwork._worker.processes.template.PoolEvents`."""
        if self._reports is not None:
            self._reports.on_ready(executor)

    def on_messages(self, executor: Executor, messages: list[Message]) -> None:
        """See `rmqwork._worker.processes.template.PoolEvents`."""
        if self._reports is not None:
            self._reports.on_messages(executor, messages)

    def on_death(self, executor: Executor, death: Death) -> None:
        """See `rmqwork._worker.processes.template.PoolEvents`."""
        if self._reports is not None:
            self._reports.on_death(executor, death)

    def on_template_death(self, template: Template, text: str) -> None:
        """See `rmqwork._worker.processes.template.PoolEvents`."""
        if self._reports is not None:
            self._reports.on_template_death(template, text)

    def on_warning(self, text: str) -> None:
        """See `rmqwork._worker.processes.template.PoolEvents`."""
        _log.warning("%s", text)
