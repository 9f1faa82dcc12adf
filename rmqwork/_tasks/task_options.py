"""What ``@app.task(...)`` says of a task, apart from its function."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rmqwork._messages.message import check_task_name, check_version
from rmqwork._tasks.retry import Retry
from rmqwork._topology.partitions import check_key
from rmqwork.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """The options of a task.

    Args:
        queue: of its messages (function style; a message class has its own ``queue``).
        retry: its policy; None = the app's.
        time_limit: seconds after which a run is stopped.
        hard_time_limit: seconds after which the process that runs it is killed.
        isolated: whether each run has a process of its own.
        ignore_result: whether nobody wants its result.
        partition_key: the parameter that chooses among the partitions of the queue (function
            style; a message class has its own).
        version: of its arguments (function style; a message class has its own ``version``); None
            = 1.
        aliases: its former names, by which messages still find it.

    Raises:
        ConfigurationError: values that cannot be used.
    """

    queue: str | None = None
    retry: Retry | None = None
    time_limit: float | None = None
    hard_time_limit: float | None = None
    isolated: bool = False
    ignore_result: bool = False
    partition_key: str | None = None
    version: int | None = None
    aliases: Sequence[str] = ()

    def __post_init__(self) -> None:
        queue: object = self.queue
        if queue is not None and not (isinstance(queue, str) and queue):
            raise ConfigurationError(f"queue is the name of a queue, not {self.queue!r}")
        if self.retry is not None and not isinstance(self.retry, Retry):
            raise ConfigurationError(f"retry is a Retry(...), not {self.retry!r}")
        for name in ("time_limit", "hard_time_limit"):
            value = getattr(self, name)
            if value is not None and not _is_above_0(value):
                raise ConfigurationError(f"{name} is a number of seconds above 0, not {value!r}")
        soft, hard = self.time_limit, self.hard_time_limit
        if soft is not None and hard is not None and hard <= soft:
            raise ConfigurationError(
                f"hard_time_limit ({hard:g} s) must be above time_limit ({soft:g} s): it is for "
                "tasks that do not stop at the first"
            )
        for name in ("isolated", "ignore_result"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigurationError(f"{name} is True or False")
        check_key(self.partition_key, "@app.task")
        if self.version is not None:
            check_version(self.version, "@app.task")
        object.__setattr__(self, "aliases", _aliases(self.aliases))


def _aliases(given: object) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ConfigurationError(f"aliases is a list of the task's former names, not {given!r}")
    return tuple(dict.fromkeys(check_task_name(name, "aliases") for name in given))


def _is_above_0(value: object) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value) and value > 0  # type: ignore[arg-type, operator]
