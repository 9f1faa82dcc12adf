"""Suspects that wait for a process without others: in groups, which shrink until one is to blame.

A process died with many tasks running, and one of them is the culprit. A group of them runs
together in an isolated process; where that dies, too, its group is split. So a few hundred long
tasks are cleared in the time of a few, and the innocents among them end as if nothing had been.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Final

from rmqwork._worker.model.held import HeldDelivery

FEW: Final = 8
"""So many are not split but run one by one: the culprit kills one process more and no further, and
each innocent runs once more and no oftener."""
GROUP: Final = 16
"""So many of first suspicion at most run together."""


def group_size(slots: Mapping[str, int]) -> int:
    """How many of first suspicion run together in an executor: as many as it can start at once."""
    return max(1, min([GROUP, *(number for number in slots.values() if number)]))


def split(helds: Sequence[HeldDelivery], parts: int) -> list[list[HeldDelivery]]:
    """Groups of those of whom one has killed their process.

    Args:
        helds: in delivery order.
        parts: how many groups can run at the same time; at least two are made.
    """
    if len(helds) <= FEW:
        return [[held] for held in helds]
    size = -(-len(helds) // max(2, parts))
    return [list(helds[at : at + size]) for at in range(0, len(helds), size)]


class Quarantine:
    """The groups that wait, in the order in which they are to run.

    Args:
        parts: how many isolated processes there may be.
        size: of a group of first suspicion.
    """

    def __init__(self, parts: int = 1, size: int = 1) -> None:
        self._parts = parts
        self._size = size
        self._groups: deque[list[HeldDelivery]] = deque()
        self._first: list[HeldDelivery] = []
        self._kept: list[HeldDelivery] = []

    def __len__(self) -> int:
        """How many groups wait."""
        return len(self._groups) + -(-len(self._first) // self._size)

    def __iter__(self) -> Iterator[HeldDelivery]:
        return chain(chain.from_iterable(self._groups), self._first, self._kept)

    def add(self, helds: Sequence[HeldDelivery]) -> None:
        """These died together, or each is to run alone anyway."""
        self._groups.extend(split(helds, self._parts))

    def add_first(self, held: HeldDelivery) -> None:
        """This one is of first suspicion: nothing died with it in its suspects queue so far."""
        self._first.append(held)

    def keep(self, held: HeldDelivery) -> None:
        """This one is not to run here; see `take_kept`."""
        self._kept.append(held)

    def take_kept(self, queue: str) -> list[HeldDelivery]:
        """Take those of a queue that are not to run here."""
        taken = [held for held in self._kept if held.queue == queue]
        self._kept = [held for held in self._kept if held.queue != queue]
        return taken

    def put_back(self, helds: Sequence[HeldDelivery]) -> None:
        """A group did not run, or not all of it, and nobody knows more of it than before."""
        if helds:
            self._groups.appendleft(list(helds))

    def next(self) -> list[HeldDelivery]:
        """Take the group that is to run next."""
        if self._groups:
            return self._groups.popleft()
        group, self._first = self._first[: self._size], self._first[self._size :]
        return group

    def forget(self, channel: object) -> None:
        """Forget the deliveries of a channel that has ended."""
        self.remove(lambda held: held.delivery.channel is channel)

    def remove(self, unwanted: Callable[[HeldDelivery], bool]) -> list[HeldDelivery]:
        """Take those that are unwanted."""
        taken = [held for held in self if unwanted(held)]
        groups = ([held for held in group if held not in taken] for group in self._groups)
        self._groups = deque(group for group in groups if group)
        self._first = [held for held in self._first if held not in taken]
        self._kept = [held for held in self._kept if held not in taken]
        return taken

    def clear(self) -> None:
        """Forget all."""
        self._groups.clear()
        self._first.clear()
        self._kept.clear()
