"""The executor's one way to the worker process: outcomes, publishes, answers."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Sequence

from rmqwork._worker.ipc.wire import Message, pack


class ControlWriter:
    """Sends messages on the control socket, from any thread.

    A frame goes out by one call that blocks until the kernel has all of it: what `send` returned
    from is seen by the worker process even if this process is killed in the next instant.

    Args:
        sock: the control socket.
        on_broken: called when the worker process died, or a task has closed our descriptors; what
            was to be sent is dropped if it returns.
    """

    def __init__(self, sock: socket.socket, on_broken: Callable[[], object]) -> None:
        self._sock = sock
        self._on_broken = on_broken
        self._lock = threading.Lock()
        self._disowned = False

    def send(self, messages: Sequence[Message]) -> None:
        """Send messages in one frame."""
        data = pack(messages)
        if self._disowned:
            # A child forked by a task has come back out of the task's function. Its parent
            # reports the outcome; the child has nothing more to do.
            os._exit(0)
        try:
            with self._lock:
                self._sock.sendall(data)
        except OSError:
            self._on_broken()

    @property
    def disowned(self) -> bool:
        """Whether this is a forked child of the executor, for which nobody listens."""
        return self._disowned

    def close_after_fork(self) -> None:
        """In a forked child: let go of the socket, so that it does not outlive the executor."""
        self._disowned = True
        os.close(self._sock.detach())
