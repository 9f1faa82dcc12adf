"""What holds until it is taken back: which queues are paused, which tasks are revoked.

The stream's commands folded in their order, as a value of the worker; no I/O.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from rmqwork._control.wire import Command

MAX_REVOKED: Final = 50_000
"""Ids of tasks, and ids of workflows, that are remembered; the oldest are forgotten."""
_FAR: Final = 10_000
"""A pause so many commands back in the stream is said again before the stream forgets it."""


class ControlState:
    """What was said, and has not been taken back.

    Args:
        most: ids that are remembered.
    """

    def __init__(self, most: int = MAX_REVOKED) -> None:
        self._most = most
        self._tasks: OrderedDict[str, Command] = OrderedDict()
        self._workflows: OrderedDict[str, Command] = OrderedDict()
        self._queues: dict[str, tuple[Command, int]] = {}
        self._last = 0

    def take(self, command: Command, offset: int = 0) -> None:
        """Take in the next command of the stream, which has it at ``offset``."""
        self._last = max(self._last, offset)
        match command.do:
            case "revoke":
                _keep(self._tasks, command, "ids", self._most)
                _keep(self._workflows, command, "workflows", self._most)
            case "pause" | "resume":
                self._set(str(command.what.get("queue", "")), command, offset)

    def _set(self, queue: str, command: Command, offset: int) -> None:
        known = self._queues.get(queue)
        if command.what.get("again") and known is not None and known[0].id != command.id:
            return  # it was said again by one who did not know yet what came after it
        self._queues[queue] = (command, offset)

    @property
    def paused(self) -> Mapping[str, Command]:
        """The pause of each queue that is paused."""
        return {name: said for name, (said, _) in self._queues.items() if said.do == "pause"}

    @property
    def revoked(self) -> int:
        """How many ids are remembered."""
        return len(self._tasks) + len(self._workflows)

    def revocation(self, task_id: str, workflow: str | None) -> Command | None:
        """What revokes a task, if anything does: its own id, or its workflow's."""
        found = self._tasks.get(task_id)
        if found is None and workflow is not None:
            found = self._workflows.get(workflow)
        return found

    def pauses_to_refresh(self) -> list[Command]:
        """The pauses that are to be said again, lest the stream forgets them."""
        return [
            replace(said, what={**said.what, "again": True}, reply_to=None)
            for said, offset in self._queues.values()
            if said.do == "pause" and self._last - offset > _FAR
        ]


def _keep(kept: OrderedDict[str, Command], command: Command, name: str, most: int) -> None:
    ids, undo = command.what.get(name), bool(command.what.get("undo"))
    for one in map(str, ids if isinstance(ids, list) else ()):
        kept.pop(one, None)
        if not undo:
            kept[one] = command
    while len(kept) > most:
        kept.popitem(last=False)
