"""Faults that a test orders: the next publish goes wrong, the connection drops."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Literal

from rmqwork.types import Publication

Fault = Literal["returned", "nacked", "lost"]
"""What becomes of a publication: no queue takes it; a queue refuses it; the broker takes it, and
the connection ends before its confirm."""
Where = Callable[[Publication], bool]


class Faults:
    """What is to go wrong; each order is carried out once.

    Attributes:
        happened: what has been carried out, in order.
        refuses_connections: whether nobody can connect, as with a broker that is down.
    """

    def __init__(self) -> None:
        self._publishes: deque[tuple[Fault, Where]] = deque()
        self._drop_in: int | None = None
        self.happened: list[str] = []
        self.refuses_connections = False

    def next_publish(self, fault: Fault, *, times: int = 1, where: Where | None = None) -> None:
        """Let the next publications go wrong.

        Args:
            fault: how.
            times: how many of them.
            where: only those for which this is true; default: all.
        """
        if fault not in ("returned", "nacked", "lost"):
            raise ValueError(f"no fault {fault!r}: there are returned, nacked and lost")
        for _ in range(times):
            self._publishes.append((fault, where or _any))

    def drop_connection(self, after: int = 0) -> None:
        """End the connection of the n-th operation from now (a publish, a settlement, a call),
        which is lost itself.

        Args:
            after: how many operations still work.
        """
        self._drop_in = after

    def clear(self) -> None:
        """Forget what has not happened yet."""
        self._publishes.clear()
        self._drop_in = None
        self.refuses_connections = False

    def of(self, publication: Publication) -> Fault | None:
        """What is to become of a publication, if anything was ordered for it."""
        for index, (fault, where) in enumerate(self._publishes):
            if where(publication):
                del self._publishes[index]
                self.happened.append(fault)
                return fault
        return None

    def drops(self) -> bool:
        """Count one operation; true when its connection is to end."""
        if self._drop_in is None:
            return False
        self._drop_in -= 1
        if self._drop_in >= 0:
            return False
        self._drop_in = None
        self.happened.append("dropped")
        return True


def _any(_: Publication) -> bool:
    return True
