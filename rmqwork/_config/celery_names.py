"""The names of here for Celery's options and attributes: for the errors of those who try these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, Final

_RETRY: Final = "write retry=Retry(max_attempts=…, wait=…, on=…, give_up_on=…)"
_SETTLED: Final = "leave it out: a message is always acked after its run"
_JSON: Final = "leave it out: messages are JSON, validated by pydantic"
_PUBLISH: Final = "leave it out: a publish is repeated until it is confirmed or timeout= is over"
_TASK: Final = "it belongs to the task: @app.task(…)"
_PERIODIC: Final = "there are no periodic tasks yet"
_MIDDLEWARE: Final = "subclass rmqwork.Middleware"

_TASKS: Final = {
    "bind": "take a rmqwork.Context as the first parameter (after the message)",
    **dict.fromkeys(
        (
            "autoretry_for",
            "max_retries",
            "default_retry_delay",
            "retry_backoff",
            "retry_backoff_max",
            "retry_jitter",
            "retry_kwargs",
            "dont_autoretry_for",
            "throws",
        ),
        _RETRY,
    ),
    "soft_time_limit": "time_limit= interrupts the task; Celery's time_limit is hard_time_limit=",
    **dict.fromkeys(("acks_late", "acks_on_failure_or_timeout", "reject_on_worker_lost"), _SETTLED),
    **dict.fromkeys(("serializer", "pydantic", "typing"), _JSON),
    "track_started": "write App(track_started=True)",
    "store_errors_even_if_ignored": "failed messages are kept as dead letters in any case",
    "rate_limit": "there are no rate limits",
    "priority": "it belongs to the call: task.options(priority=…)",
    "expires": "it belongs to the call: task.options(expires=…)",
    "base": _MIDDLEWARE,
}
_CALLS: Final = {
    **dict.fromkeys(("retry", "retry_policy"), _PUBLISH),
    **dict.fromkeys(("ignore_result", "time_limit", "soft_time_limit"), _TASK),
    "serializer": _JSON,
    "compression": "write App(compress_above=…)",
    "delivery_mode": "leave it out: messages are persistent",
}
_APPS: Final = {
    **dict.fromkeys(("broker_url",), "write broker="),
    **dict.fromkeys(("backend", "result_backend"), "write results="),
    "result_expires": "write results_ttl=",
    "task_routes": "write routes=",
    "task_queues": "write queues=",
    "task_default_queue": "write default_queue=",
    "imports": "write include=",
    "worker_concurrency": "write processes= and concurrency=",
    "worker_prefetch_multiplier": "write prefetch=, or leave it out",
    "worker_max_tasks_per_child": "write max_tasks=",
    "worker_max_memory_per_child": "write max_memory=",
    "task_track_started": "write track_started=",
    "task_ignore_result": _TASK,
    "task_time_limit": _TASK,
    "task_soft_time_limit": _TASK,
    "task_acks_late": _SETTLED,
    "task_serializer": _JSON,
    "accept_content": _JSON,
    "result_serializer": _JSON,
    "beat_schedule": _PERIODIC,
}


_REQUEST: Final = "take a rmqwork.Context as the first parameter; it has task_id, attempt, headers"
_SIGNATURE: Final = "write task.s(…), and task.s(…).set(countdown=…) for options"
_KEPT: Final = "keep the ids: app.result(task_id, task) with a store"
_COPY: Final = "signatures never change, and need no copy: set, link and link_error give another"
_WAIT: Final = "write get(timeout)"
_IGNORED: Final = "a failure raises TaskFailed: catch it, or look at failed() and state"
_ATTRIBUTES: Final = {
    "app": {
        "conf": "settings are arguments: App(name, broker=…, routes=…); app.settings has them",
        "config_from_object": "settings are arguments of App, RMQWORK_… variables or a file",
        "config_from_envvar": "settings are arguments of App, RMQWORK_… variables or a file",
        "control": "write app.revoke(…), and rmqwork inspect, pause, resume, scale, shutdown",
        "autodiscover_tasks": "write App(include=[…])",
        "AsyncResult": "write app.result(task_id, task)",
        "GroupResult": _KEPT,
        "backend": "write results=; app.result(task_id, task) asks for one",
        "amqp": "queues and exchanges are arguments: App(queues=[…], exchanges=[…])",
        "worker_main": "run rmqwork worker module:app, or app.test_worker() in this process",
        "start": "run rmqwork worker module:app, or app.test_worker() in this process",
        "Worker": "run rmqwork worker module:app, or app.test_worker() in this process",
        "Beat": _PERIODIC,
        "add_periodic_task": _PERIODIC,
        "on_after_configure": "write @app.lifespan",
        "on_after_finalize": "write @app.lifespan",
        "register_task": "write @app.task",
        "gen_task_name": "write @app.task(name=…)",
        "Task": _MIDDLEWARE,
        "connection": "publish by app.publish, app.send_task or task.delay",
        "producer_pool": "publish by app.publish, app.send_task or task.delay",
        "canvas": "import chain, group and chord from rmqwork",
        "main": "write app.name",
    },
    "task": {
        "signature": _SIGNATURE,
        "subtask": _SIGNATURE,
        "apply": "call it: task(…) runs the function here; app.test_worker() runs messages",
        "run": "call it: task(…) runs the function here",
        "request": _REQUEST,
        "retry": "write ctx.retry(countdown=…), or raise rmqwork.RetryLater(seconds)",
        "replace": "write return ctx.replace(signature)",
        "update_state": "write ctx.progress(current, total)",
        "add_to_chord": "write return ctx.replace(group(…) | …)",
        "AsyncResult": "write app.result(task_id, task)",
        "apply_async_on_commit": "publish after the transaction",
        "delay_on_commit": "publish after the transaction",
        "on_failure": _MIDDLEWARE,
        "on_success": _MIDDLEWARE,
        "on_retry": _MIDDLEWARE,
        "max_retries": "write @app.task(retry=Retry(max_attempts=…))",
        "default_retry_delay": "write @app.task(retry=Retry(wait=…))",
        "backend": "write App(results=…)",
    },
    "signature": {
        "clone": _COPY,
        "replace": _COPY,
        "on_error": "write link_error(…); its handler takes a FailedTask",
        "apply": "write delay(), and app.test_worker() or run_all() in tests",
        "freeze": "the id is given when it is published: set(task_id=…), or delay().id",
        "add_callback": "write link(…)",
        "add_errback": "write link_error(…)",
        "si": "write task.si(…)",
        "s": "write task.s(…)",
        "id": "the id is given when it is published: set(task_id=…), or delay().id",
        "task": "write name",
        "stamp": "write set(headers={…})",
        "unchain_tasks": "write link(…) on a step",
        "tasks": "a group has len(); its results are the members of delay()",
        "body": "write chord(header, body)",
        "group": "task.chunks(…) is a group already",
    },
    "result": {
        "join": _WAIT,
        "join_native": _WAIT,
        "wait": _WAIT,
        "maybe_throw": _WAIT,
        "throw": _WAIT,
        "maybe_reraise": _WAIT,
        "collect": "children and parent have the results of a workflow; get() waits for the last",
        "iterdeps": "children and parent have the results of a workflow; get() waits for the last",
        "graph": "write signature.graph()",
        "status": "write state",
        "result": "write get(); state and traceback say what is known without waiting",
        "info": "write progress, or get()",
        "task_id": "write id",
        "task_name": "write task",
        "then": "write signature.link(…), or future().add_done_callback(…)",
        "on_ready": "write future().add_done_callback(…)",
        "root_id": "write workflow",
        "get_leaf": "the result that delay() gives is the last one",
        "is_successful": "write successful()",
        "is_ready": "write ready()",
        "iter_native": "write rmqwork.as_completed(results)",
        "save": _KEPT,
        "restore": _KEPT,
        "args": "the message has them: keep them beside the id",
        "kwargs": "the message has them: keep them beside the id",
        "retries": "state and progress say what is known of it",
        "date_done": "the log has it",
        "worker": "the log has it",
    },
    "context": {
        "request": "the context is it: ctx.task_id, ctx.attempt, ctx.headers",
        "id": "write task_id",
        "retries": "write ctx.attempt - 1",
        "update_state": "write ctx.progress(current, total)",
        "delivery_info": "write ctx.queue and ctx.redelivered",
        "is_eager": "ctx.queue is empty when the task runs in place",
        "hostname": "the log has it",
        "root_id": "write workflow",
        "group": "write workflow",
        "apply_async": "write task.apply_async(…)",
        "delay": "write task.delay(…)",
        "max_retries": "write max_attempts, the first run counted",
        "name": "write task",
        "logger": "write log",
    },
    "module": {
        "Celery": "write App",
        "shared_task": "write TaskSet(name), @task_set.task and app.add(task_set)",
        "signature": _SIGNATURE,
        "subtask": _SIGNATURE,
        "current_app": "import your app",
        "current_task": _REQUEST,
        "xmap": "write task.map(…)",
        "xstarmap": "write task.starmap(…)",
        "chunks": "write task.chunks(…, size)",
        "uuid": "leave task_id out, or make one by uuid.uuid4()",
        "Ignore": "write return",
        "MaxRetriesExceededError": "what has failed for good is a dead letter",
        "SoftTimeLimitExceeded": "write TimeLimitExceeded",
        "ResultSet": "write GroupResult, wait or as_completed",
    },
}
_ARGUMENTS: Final = {
    "propagate": _IGNORED,
    "disable_sync_subtasks": "leave it out: get() in a task warns, and works",
    "interval": "leave it out: nothing has to be polled",
    "no_ack": "leave it out",
    "follow_parents": "leave it out: a failure of a step before it is raised, too",
    "callback": "write future().add_done_callback(…)",
    "on_message": "write progress",
    "on_interval": "leave it out: nothing has to be polled",
}
_COMMANDS: Final = {
    "-A": "APP is an argument: rmqwork worker shop.app:app",
    "--app": "APP is an argument: rmqwork worker shop.app:app",
    "-l": "write --log-level",
    "--loglevel": "write --log-level",
    "-f": "the log goes to stderr: redirect it",
    "--logfile": "the log goes to stderr: redirect it",
    "-B": _PERIODIC,
    "--beat": _PERIODIC,
    "-P": "write -p N -c 1 for prefork, -c N for threads, --async-concurrency N for coroutines",
    "--pool": "write -p N -c 1 for prefork, -c N for threads, --async-concurrency N for coroutines",
    "-n": "write --name",
    "--hostname": "write --name",
    "-O": "leave it out: no message waits for a task that runs while another place is free",
    "-E": "leave it out: rmqwork inspect, and /metrics with --health-port",
    "-D": "let systemd, a container or a supervisor run it",
    "-b": "write --broker",
    "-d": "write the worker's name as an argument; see --help",
    "--autoscale": "write rmqwork scale while it runs, or scale pods",
    "--prefetch-multiplier": "write --prefetch, or leave it out",
    "--max-tasks-per-child": "write --max-tasks",
    "--max-memory-per-child": "write --max-memory, with a unit: 400MB",
    "--time-limit": _TASK,
    "--soft-time-limit": _TASK,
    "--without-gossip": "leave it out: there is none",
    "--without-mingle": "leave it out: there is none",
    "--without-heartbeat": "leave it out",
    "--purge": "write rmqwork queues, and rmqwork dlq purge for dead letters",
    "-I": "write App(include=[…])",
    "--include": "write App(include=[…])",
    "beat": _PERIODIC,
    "flower": "write rmqwork inspect, or scrape /metrics of --health-port",
    "multi": "run several workers by systemd, containers or a supervisor",
    "call": "write rmqwork publish",
    "control": "write rmqwork revoke, scale, pause, resume or shutdown",
    "status": "write rmqwork ping",
    "purge": "write rmqwork queues, and rmqwork dlq purge for dead letters",
    "events": "write rmqwork inspect, or scrape /metrics of --health-port",
    "result": "write app.result(task_id, task).get() in Python",
    "report": "write rmqwork doctor",
    "shell": "run python, and import your app",
    "upgrade": "see the page Coming from Celery",
    "migrate": "see the page Coming from Celery",
    "amqp": "write rmqwork queues and rmqwork topology",
    "list": "write rmqwork tasks or rmqwork queues",
}


class NamesCeleryWords:
    """A class whose AttributeError says what to write in the place of an attribute of Celery's."""

    __slots__ = ()
    _celery_kind: ClassVar = ""
    """Which attributes it could be asked for: a key of the table."""

    if not TYPE_CHECKING:  # or every name would be one for mypy

        def __getattr__(self, name):
            try:
                return object.__getattribute__(self, name)  # a property raises its own error
            except AttributeError as error:
                hint = of_attribute(type(self)._celery_kind, name)
                if not hint:
                    raise
                raise AttributeError(f"{error}{hint}", name=name, obj=self) from None


def of_attribute(kind: str, name: str) -> str:
    """What to write in the place of an attribute of Celery's, after a semicolon; may be empty.

    Args:
        kind: ``app``, ``task``, ``signature``, ``result``, ``context`` or ``module``.
        name: of the attribute.
    """
    hint = _ATTRIBUTES[kind].get(name)
    return "" if hint is None else f"; {hint}"


def of_arguments(names: Iterable[str]) -> str:
    """The same of arguments of ``get()``."""
    return _said(_ARGUMENTS, names)


def of_command(word: str) -> str:
    """The same of an option or a command of its command line."""
    hint = _COMMANDS.get(word)
    return "" if hint is None else f"; {hint}"


def of_tasks(options: Iterable[str]) -> str:
    """What to write in the place of options that ``@app.task`` does not have; may be empty."""
    return _said(_TASKS, options)


def of_calls(options: Iterable[str]) -> str:
    """The same of options of a call."""
    return _said(_CALLS, options)


def of_apps(settings: Iterable[str]) -> str:
    """The same of an app's settings."""
    return _said(_APPS, settings)


def _said(words: Mapping[str, str], names: Iterable[str]) -> str:
    known = {name: words[name] for name in names if name in words}
    by_text: dict[str, list[str]] = {}
    for name, text in known.items():
        by_text.setdefault(text, []).append(name)
    return "".join(f"; {', '.join(group)}: {text}" for text, group in by_text.items())
