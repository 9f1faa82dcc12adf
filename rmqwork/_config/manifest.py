"""`Manifest`: what the worker process has to know of an app whose code it does not import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rmqwork._config.settings import Settings
from rmqwork._config.task_table import TaskTable
from rmqwork._topology.kill_switch import KillSwitch
from rmqwork._topology.topology import (
    Bind,
    Declaration,
    DeclareExchange,
    DeclareQueue,
    Queue,
)

Kind = Literal["thread", "async"]


@dataclass(frozen=True, slots=True)
class TaskEntry:
    """A task, as far as the worker process has to know it.

    Args:
        name: by which messages name it.
        kind: where it runs: in a thread, or on the event loop.
        queue: that its class or its decorator names; None = by the routes.
        version: of its message class, or of its arguments.
        max_attempts: how often its policy lets it run; None = as its ``stop`` says.
        time_limit: seconds after which a run is stopped.
        hard_time_limit: seconds after which the process that runs it is killed.
        isolated: whether each run has a process of its own.
        ignore_result: whether nobody wants its result.
        aliases: its former names, by which messages still find it.
    """

    name: str
    kind: Kind
    queue: str | None = None
    version: int = 1
    max_attempts: int | None = 1
    time_limit: float | None = None
    hard_time_limit: float | None = None
    isolated: bool = False
    ignore_result: bool = False
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """A queue, as far as the worker process has to know it.

    Args:
        name: of the queue.
        type: ``quorum`` or ``classic``.
        bounded: whether a publish to it can be refused because it is full.
        consumed: the names of the queues that a worker for it reads, the main one first.
        kill_switch: when less is to be taken from it.
        partitioned: whether what it is read from are its partitions.
    """

    name: str
    type: str
    bounded: bool
    consumed: tuple[str, ...]
    kill_switch: KillSwitch | None = None
    partitioned: bool = False

    @classmethod
    def of(cls, queue: Queue) -> QueueEntry:
        """The entry of a queue."""
        return cls(
            queue.name,
            queue.type,
            queue.bounded,
            queue.consumed(),
            queue.kill_switch,
            queue.partitions is not None,
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that the worker process knows of an app.

    Args:
        app: its name.
        settings: as the template process has read them.
        queues: by name, in the order of the app.
        default_queue: where tasks without a queue go.
        declarations: of exchanges, queues and bindings, in order.
        tasks: by name; look-ups by an alias find them, too.
    """

    app: str
    settings: Settings
    queues: Mapping[str, QueueEntry]
    default_queue: str
    declarations: Sequence[Declaration]
    tasks: Mapping[str, TaskEntry]

    def to_dict(self) -> dict[str, Any]:
        """As plain values, which `marshal` can carry."""
        return {
            "app": self.app,
            "settings": self.settings.to_dict(),
            "queues": [asdict(queue) for queue in self.queues.values()],
            "default_queue": self.default_queue,
            "declarations": [_plain(declaration) for declaration in self.declarations],
            "tasks": [asdict(task) for task in self.tasks.values()],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Manifest:
        """The manifest of `to_dict`'s values."""
        return cls(
            app=values["app"],
            settings=Settings.from_dict(values["settings"]),
            queues={entry["name"]: _queue_entry(entry) for entry in values["queues"]},
            default_queue=values["default_queue"],
            declarations=[_declaration(plain) for plain in values["declarations"]],
            tasks=TaskTable(map(_task_entry, values["tasks"])),
        )


def _task_entry(values: Mapping[str, Any]) -> TaskEntry:
    return TaskEntry(**{**values, "aliases": tuple(values["aliases"])})


def _queue_entry(values: Mapping[str, Any]) -> QueueEntry:
    switch = values.get("kill_switch")
    return QueueEntry(
        **{
            **values,
            "consumed": tuple(values["consumed"]),
            "kill_switch": None if switch is None else KillSwitch(**switch),
        }
    )


_KINDS: Mapping[str, type[DeclareExchange] | type[DeclareQueue] | type[Bind]] = {
    "exchange": DeclareExchange,
    "queue": DeclareQueue,
    "bind": Bind,
}
_NAMES = {cls: name for name, cls in _KINDS.items()}


def _plain(declaration: Declaration) -> tuple[str, dict[str, Any]]:
    values = asdict(declaration)
    values["arguments"] = dict(declaration.arguments)
    return _NAMES[type(declaration)], values


def _declaration(plain: tuple[str, Mapping[str, Any]]) -> Declaration:
    kind, values = plain
    return _KINDS[kind](**values)
