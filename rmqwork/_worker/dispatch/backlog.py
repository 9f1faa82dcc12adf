"""`Backlog`: the deliveries that no executor has, wherever they wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from rmqwork._worker.model.held import HeldDelivery


class Place(Protocol):
    """Where deliveries wait."""

    def remove(self, unwanted: Callable[[HeldDelivery], bool]) -> list[HeldDelivery]:
        """Take those that are unwanted."""
        ...


class Backlog:
    """All places of a worker where deliveries wait for an executor.

    Args:
        places: the queue of what is ready, the quarantine of suspects, …
    """

    def __init__(self, *places: Place) -> None:
        self._places: Sequence[Place] = places

    def remove(self, unwanted: Callable[[HeldDelivery], bool]) -> list[HeldDelivery]:
        """Take those that are unwanted."""
        return [held for place in self._places for held in place.remove(unwanted)]
