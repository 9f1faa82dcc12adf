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
        answer: the function.
    """

    def __init__(self, answer: Callable[[], None]) -> None:
        self._answer = answer
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rings = False
        self._heard, self._button = socket.socketpair()
        self._heard.setblocking(False)
        self._button.setblocking(False)

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Call the function in this loop, also for a ring before; in the loop's thread. The waker
        must be closed before the loop."""
        self._loop = loop
        loop.add_reader(self._heard.fileno(), self._on_ring)

    def ring(self) -> None:
        """Have the function called; from any thread."""
        if not self._rings:
            try:
                # Nothing comes between these two: signal handlers run after calls, not before.
                self._rings = True
                self._button.send(b"!")
            except OSError:  # it was closed
                pass

    def ring_anyhow(self) -> None:
        """Ring again, whether or not somebody seems to have rung."""
        with contextlib.suppress(OSError):
            self._button.send(b"!")

    def close(self) -> None:
        """Ring no more; in the loop's thread."""
        if self._loop is not None:
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
