"""`LoopWaker`: wakes an event loop from any thread, many rings at once."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final

_ENOUGH: Final = 16
"""Bytes read at once; a waker that rings is not rung again."""


class LoopWaker:
    """Calls a function in an event loop soon after it was rung, once for all rings until then.

    Cheaper than ``call_soon_threadsafe``, which makes a handle and a context for each call, and
    reads until there is nothing left: every blocking publish rings.

    Args:
        loop: in which the function is called; the waker must be closed before it.
        answer: the function.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, answer: Callable[[], None]) -> None:
        self._loop = loop
        self._answer = answer
        self._rings = False
        self._heard, self._button = socket.socketpair()
        self._heard.setblocking(False)
        self._button.setblocking(False)
        loop.add_reader(self._heard.fileno(), self._on_ring)

    def ring(self) -> None:
        """Have the function called; from any thread."""
        if not self._rings:
            self._rings = True
            with contextlib.suppress(OSError):  # it was closed
                self._button.send(b"!")

    def close(self) -> None:
        """Ring no more; in the loop's thread."""
        self._loop.remove_reader(self._heard.fileno())
        self.release()

    def release(self) -> None:
        """Close the descriptors, and nothing else: in a forked child the loop is the parent's."""
        self._heard.close()
        self._button.close()

    def _on_ring(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._heard.recv(_ENOUGH)
        self._rings = False  # before the answer: what comes during it rings again
        self._answer()
