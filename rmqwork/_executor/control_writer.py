"""The executor's one way to the worker process: outcomes, publishes, answers."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Sequence

from rmqwork._worker.ipc.reports import (
    DEFAULT_MAX_FRAME,
    MAX_PART,
    Report,
    pack_reports,
)
from rmqwork._worker.ipc.wire import refused_outcome


class ControlWriter:
    """Sends messages on the control socket, from any thread.

    A frame goes out by one call that blocks until the kernel has all of it: what `send` returned
    from is seen by the worker process even if this process is killed in the next instant.

    Args:
        sock: the control socket.
        on_broken: called when the worker process died, or a task has closed our descriptors; what
            was to be sent is dropped if it returns.

    Attributes:
        max_frame: bytes of a frame that the worker process takes at most.
    """

    def __init__(self, sock: socket.socket, on_broken: Callable[[], object]) -> None:
        self._sock = sock
        self._on_broken = on_broken
        self._lock = threading.Lock()
        self._disowned = False
        self.max_frame = DEFAULT_MAX_FRAME

    def send(self, reports: Sequence[Report]) -> None:
        """Send reports in one frame, or in several if they are large.

        An outcome that the worker process would not take becomes a failure of its task.

        Raises:
            ValueError: a value of another report cannot travel.
        """
        data = self._packed(reports)
        if self._disowned:
            # A child forked by a task has come back out of the task's function. Its parent
            # reports the outcome; the child has nothing more to do.
            os._exit(0)
        try:
            with self._lock:
                self._sock.sendall(data)
        except OSError:
            self._on_broken()

    def _packed(self, reports: Sequence[Report]) -> bytes:
        try:
            data = pack_reports(reports)
            if len(data) <= MAX_PART or (len(reports) == 1 and len(data) <= self.max_frame):
                return data
            why = f"{len(data):,} bytes; {self.max_frame:,} at most"
        except (ValueError, TypeError) as error:
            why = str(error)
        if len(reports) > 1:
            middle = len(reports) // 2
            return self._packed(reports[:middle]) + self._packed(reports[middle:])
        report = reports[0]
        if report[0] != "o":
            raise ValueError(why)
        return pack_reports([refused_outcome(report, why)])

    @property
    def disowned(self) -> bool:
        """Whether this is a forked child of the executor, for which nobody listens."""
        return self._disowned

    def close_after_fork(self) -> None:
        """In a forked child: let go of the socket, so that it does not outlive the executor."""
        self._disowned = True
        os.close(self._sock.detach())
