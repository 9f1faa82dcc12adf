"""`TaskTable`: tasks by name, found by their former names, too."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, Sequence, ValuesView
from typing import Protocol, TypeVar


class Named(Protocol):
    """A task, or what the worker process knows of it."""

    @property
    def name(self) -> str:
        """By which new messages name it."""
        ...

    @property
    def aliases(self) -> Sequence[str]:
        """By which old messages may name it."""
        ...


T = TypeVar("T", bound=Named)


class TaskTable(dict[str, T]):
    """Tasks by name. Look-ups (``table[name]``, ``get``, ``in``) know aliases, too, at the price
    of a plain dict; iterating, ``len`` and views have each task once, by its name.

    Args:
        tasks: the first ones.
    """

    def __init__(self, tasks: Iterable[T] = ()) -> None:
        super().__init__()
        self._aliases: set[str] = set()
        for task in tasks:
            self.add(task)

    def add(self, task: T) -> None:
        """Add a task, or replace that of its name; names of others are not looked at."""
        old = self.get(task.name)
        if old is not None:
            for alias in old.aliases:
                self._aliases.discard(alias)
                self.pop(alias, None)
        self[task.name] = task
        for alias in task.aliases:
            self[alias] = task
            self._aliases.add(alias)

    def __iter__(self) -> Iterator[str]:
        aliases = self._aliases
        return (name for name in super().__iter__() if name not in aliases)

    def __len__(self) -> int:
        return super().__len__() - len(self._aliases)

    def keys(self) -> KeysView[str]:  # type: ignore[override]
        """The names."""
        return KeysView(self)

    def values(self) -> ValuesView[T]:  # type: ignore[override]
        """The tasks."""
        return ValuesView(self)

    def items(self) -> ItemsView[str, T]:  # type: ignore[override]
        """Names and tasks."""
        return ItemsView(self)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Mapping):
            return dict(self.items()) == dict(other.items())
        return NotImplemented

    __hash__ = None
