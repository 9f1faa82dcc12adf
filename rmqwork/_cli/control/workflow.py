"""What workers know of one workflow, for ``rmqwork inspect workflow ID``."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from rmqwork._cli.control.asking import duration
from rmqwork._cli.output import Column, console, note, print_json, table

_NAMES: Final = ("what", "id", "state", "for", "worker")


def show_workflow(workflow: str, workers: Sequence[dict[str, Any]], as_json: bool) -> int:
    """Print what is known of a workflow.

    Args:
        workflow: its id.
        workers: the answers of workers to ``inspect``.
        as_json: for programs.

    Returns:
        the exit code: 1 if nothing of it is in a worker's hands.
    """
    steps = list(_of(workers, "tasks", workflow))
    groups = list(_of(workers, "joins", workflow))
    if as_json:
        print_json({"workflow": workflow, "steps": steps, "groups": groups})
    elif steps or groups:
        rows: list[Sequence[object]] = [
            (one["task"], one["id"], f"attempt {one['attempt']}", duration(one["age_s"]), who)
            for one, who in ((one, one["worker"]) for one in steps)
        ]
        rows += [
            (
                "group",
                one["join"],
                f"{one['arrived']} of {one['size']} members have ended",
                duration(max(0.0, time.time() - one["born"])),
                one["worker"],
            )
            for one in groups
        ]
        console().print(table([Column(name, whole=True) for name in _NAMES], rows))
    if steps or groups:
        return 0
    note(
        f"no worker runs a step of {workflow!r} or gathers a group of it: it waits in a queue or "
        "for its delay, or has ended"
    )
    return 1


def _of(workers: Sequence[dict[str, Any]], what: str, workflow: str) -> Iterator[dict[str, Any]]:
    """The tasks or joins of a workflow, with their workers' names."""
    for worker in workers:
        for one in worker.get(what) or ():
            if one.get("workflow") == workflow:
                yield {**one, "worker": worker["worker"]}
