"""Interfaces: where the deliveries of an executor go when it ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rmqwork._worker.model.held import HeldDelivery
from rmqwork.types import Outcome


class Finisher(Protocol):
    """Takes deliveries that have run."""

    def finish(self, held: HeldDelivery, outcome: Outcome | None, crashed: bool = False) -> None:
        """Settle what has run."""


class Returned(Protocol):
    """Takes deliveries that have not run, or are to run again."""

    def not_started(self, helds: Sequence[HeldDelivery]) -> None:
        """Deliveries that have not run."""

    def suspected(self, helds: Sequence[HeldDelivery]) -> None:
        """Deliveries of which one, and nobody knows which, has killed its process."""
