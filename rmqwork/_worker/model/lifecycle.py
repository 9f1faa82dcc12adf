"""`Lifecycle`: tells the rooms of a worker that it shuts down."""

from __future__ import annotations


class Lifecycle:
    """A worker's way from its start to its end; there is one step, and none back."""

    __slots__ = ("stopping",)

    def __init__(self) -> None:
        self.stopping = False
        """True when nothing is to start any more; changed by `stop` alone."""

    def stop(self) -> None:
        """Let nothing start from now on."""
        self.stopping = True
