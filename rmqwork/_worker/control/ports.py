"""`Waiting`: the deliveries of a worker that no executor has, as operators' commands see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rmqwork._worker.model.held import HeldDelivery
from rmqwork.types import Evidence, Reason


class Waiting(Protocol):
    """The deliveries that no executor has, and the ways out for them."""

    def remove(self, unwanted: Callable[[HeldDelivery], bool]) -> list[HeldDelivery]:
        """Take those that are unwanted."""
        ...

    def refuse(self, held: HeldDelivery, reason: Reason, evidence: Evidence) -> None:
        """Dead-letter one that has not run, and must not any more."""

    def hand_back(self, held: HeldDelivery) -> None:
        """Give one back to its queue."""
