"""``rmqwork inspect``: what workers do now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from rmqwork._cli.control.asking import (
    ask,
    asking_options,
    command,
    duration,
    load,
    memory,
    plain_answers,
    verdict,
)
from rmqwork._cli.control.workflow import show_workflow
from rmqwork._cli.output import Column, as_json_option, console, note, print_json, table
from rmqwork.errors import ConfigurationError

if TYPE_CHECKING:
    from rmqwork._tasks.app import App

VIEWS: Final = ("workers", "tasks", "executors", "queues")
_RIGHT: Final = frozenset({"pid", "running", "prefetched", "prefetch", "memory", "up", "age"})


@click.command
@click.argument("arguments", nargs=-1, metavar="[APP] [workers|tasks|executors|queues|workflow ID]")
@click.option("--stack", metavar="ID", help="Where a running task stands now.")
@asking_options
@as_json_option
def inspect(
    arguments: tuple[str, ...],
    stack: str | None,
    expected: int | None,
    timeout: float,
    all_apps: bool,
    as_json: bool,
) -> int:
    """Show what workers do: workers (default), running tasks, executors or queues.

    Of a workflow: the steps that run now, and the groups whose members are being gathered; exit
    code 1 if there are none. What waits in queues is not looked at.

    A worker whose tasks all block answers, too. With --json all is told at once.
    """
    path, view, workflow = _split(arguments)
    app = load(path)
    if stack is not None:
        return _show_stack(app, stack, max(timeout, 3.0), all_apps, as_json)
    answers = ask(app, command(app, "inspect", all_apps), timeout, expected)
    workers = plain_answers(answers)
    if workflow is not None:
        code = show_workflow(workflow, workers, as_json)
        return verdict(answers, expected, timeout) or code
    if as_json:
        print_json({"workers": workers})
    else:
        good = [one for one in workers if one["error"] is None]
        names, rows = _ROWS[view](good)
        columns = [Column(n, "right" if n in _RIGHT else "left", whole=True) for n in names]
        console().print(table(columns, rows))
    return verdict(answers, expected, timeout)


def _split(arguments: Sequence[str]) -> tuple[str | None, str, str | None]:
    """The app, the view, and which workflow."""
    rest, workflow = list(arguments), None
    if rest[-2:-1] == ["workflow"]:
        workflow = rest.pop()
        rest.pop()
    view = rest.pop() if workflow is None and rest and rest[-1] in VIEWS else VIEWS[0]
    if len(rest) > 1 or rest[-1:] == ["workflow"]:
        raise ConfigurationError(
            f"inspect takes [APP] [{'|'.join(VIEWS)}|workflow ID]; see rmqwork inspect --help"
        )
    return (rest[0] if rest else None), view, workflow


def _show_stack(app: App, task_id: str, timeout: float, all_apps: bool, as_json: bool) -> int:
    asked = command(app, "stack", all_apps, id=task_id)
    answers = ask(app, asked, timeout, one=True)
    good = [answer for answer in answers if not answer.error]
    if as_json:
        print_json({"id": task_id, "stacks": plain_answers(answers)})
    for answer in good if not as_json else ():
        from rmqwork._cli.text import plain

        print(f"{plain(answer.worker)}, executor {answer.value['executor']}")
        print(plain(answer.value["stack"], lines=True))
    if not answers:
        note(f"no worker runs {task_id!r} now; rmqwork inspect tasks shows what runs")
    for answer in answers:
        if answer.error:
            note(f"{answer.worker}: {answer.error}")
    return 0 if good else 1


Rows = tuple[Sequence[str], list[Sequence[object]]]


def _workers(workers: Sequence[dict[str, Any]]) -> Rows:
    names = ("worker", "pid", "app", "up", "running", "prefetched", "memory", "queues")
    rows: list[Sequence[object]] = [
        (
            one["worker"],
            one["pid"],
            one["app"],
            duration(one["up_s"]),
            f"{len(one['tasks']) + one['more_tasks']} of {_slots(one)}",
            sum(queue["prefetched"] for queue in one["queues"]),
            memory(_whole_memory(one)),
            ", ".join(_queue(queue) for queue in one["queues"]),
        )
        for one in workers
    ]
    return names, rows


def _slots(worker: dict[str, Any]) -> str:
    slots = [str(count * worker["processes"]) for count in worker["slots"].values() if count]
    return "+".join(slots)


def _queue(queue: dict[str, Any]) -> str:
    return (
        f"{queue['queue']} (paused: {', '.join(queue['paused'])})"
        if queue["paused"]
        else str(queue["queue"])
    )


def _whole_memory(worker: dict[str, Any]) -> int | None:
    sizes = [worker["memory"], *(one["memory"] for one in worker["executors"])]
    known = [size for size in sizes if size is not None]
    return sum(known) if known else None


def _tasks(workers: Sequence[dict[str, Any]]) -> Rows:
    tasks = [(task, one) for one in workers for task in one["tasks"]]
    tasks.sort(key=lambda pair: -pair[0]["age_s"])
    names = ("id", "task", "queue", "attempt", "age", "worker", "executor")
    return names, [
        (
            task["id"],
            task["task"],
            task["queue"],
            task["attempt"],
            duration(task["age_s"]),
            one["worker"],
            task["executor"],
        )
        for task, one in tasks
    ]


def _executors(workers: Sequence[dict[str, Any]]) -> Rows:
    names = ("worker", "pid", "state", "running", "memory", "isolated")
    return names, [
        (
            one["worker"],
            executor["pid"],
            executor["state"],
            executor["running"],
            memory(executor["memory"]),
            "yes" if executor["isolated"] else "",
        )
        for one in workers
        for executor in one["executors"]
    ]


def _queues(workers: Sequence[dict[str, Any]]) -> Rows:
    names = ("worker", "queue", "prefetch", "prefetched", "paused")
    return names, [
        (
            one["worker"],
            queue["queue"],
            queue["prefetch"],
            queue["prefetched"],
            ", ".join(queue["paused"]),
        )
        for one in workers
        for queue in one["queues"]
    ]


_ROWS: Final = {"workers": _workers, "tasks": _tasks, "executors": _executors, "queues": _queues}
