"""`Revocations`: which tasks operators have revoked, as this worker knows it."""

from __future__ import annotations

from datetime import UTC, datetime

from rmqwork._control.control_state import ControlState
from rmqwork._control.wire import Command
from rmqwork._worker.model.held import HeldDelivery
from rmqwork.types import Evidence


class Revocations:
    """What operators have revoked, by the id of a task or of its workflow."""

    def __init__(self) -> None:
        self._standing = ControlState()

    def adopt(self, standing: ControlState) -> None:
        """Go by what operators have said up to now."""
        self._standing = standing

    def command(self, held: HeldDelivery) -> Command | None:
        """Return the command that revokes a delivery, if there is one."""
        if not self._standing.revoked:
            return None
        workflow = None if held.carried is None else held.carried.workflow.id
        return self._standing.revocation(held.task_id, workflow)

    def evidence(self, held: HeldDelivery) -> Evidence | None:
        """Return why a delivery is not to run, if it is revoked."""
        command = self.command(held)
        return None if command is None else evidence_of(command)


def evidence_of(command: Command) -> Evidence:
    """Return the evidence that is kept with a revoked message."""
    at = datetime.fromtimestamp(command.at, UTC).isoformat(timespec="seconds")
    return Evidence("TaskRevoked", f"revoked by {command.by or 'somebody'} at {at}")
