"""`cached_property` without a lock."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    cached_property = functools.cached_property
else:

    class cached_property(functools.cached_property):
        """`functools.cached_property`, as it is since Python 3.12: on 3.11 it computes under a lock
        that all instances share, and a fork beside a thread that holds it leaves a child that
        waits for ever. Two threads may compute the value; all get the first one.
        """

        def __get__(self, instance: object, owner: type | None = None) -> Any:
            if instance is None:
                return self
            value = self.func(instance)
            return instance.__dict__.setdefault(self.attrname, value)
