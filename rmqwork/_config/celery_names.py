"""What Celery's options are called here: for the errors that those get who try them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

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
