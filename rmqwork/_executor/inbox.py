"""The deliveries of one socket on their way to threads or to the event loop.

Whoever needs work leads: it holds the lead, reads the socket, and leaves what it does not take
itself in `_ready` for the others. So a delivery costs no hop from a thread that reads to one that
runs.

Giving back is exact: a delivery is popped from `_ready` once, by a runner (then it is started) or
by the control thread (then it is given back).
"""

from __future__ import annotations

import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Collection

from rmqwork._worker.ipc.wire import READ_SIZE, Message, Unpacker

NUMBER = 1
"""Where a delivery message has its number."""


class Inbox:
    """Deliveries that have come and are not started.

    Args:
        sock: the delivery socket.
        report: called with the numbers of deliveries that are given back.
        on_broken: called when a task has closed our descriptors; no more deliveries come if it
            returns.
    """

    def __init__(
        self,
        sock: socket.socket,
        report: Callable[[list[int]], None],
        on_broken: Callable[[], object],
    ) -> None:
        self._sock = sock
        self._report = report
        self._on_broken = on_broken
        self._unpacker = Unpacker()
        self._buffer = bytearray(READ_SIZE)
        self._view = memoryview(self._buffer)
        self._ready: deque[Message] = deque()
        self._lead = threading.Lock()
        self._gate = threading.Lock()  # orders "deliveries arrive" against "give back"
        self._closed = False
        self._unwanted: set[int] = set()
        self.ended = False
        """Whether the worker process has closed its end: no more deliveries come."""

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._sock.fileno()

    def take(self) -> Message | None:
        """The next delivery; blocks until there is one. None when no more come."""
        ready = self._ready
        while True:
            if ready:
                try:
                    return ready.popleft()
                except IndexError:  # another thread was faster
                    continue
            with self._lead:
                if not ready:
                    if self.ended:
                        return None
                    self._receive()
                try:
                    message = ready.popleft()
                except IndexError:
                    continue
            # `close` may have come while we led, and found the lead taken: then it relies on
            # whoever had it to go on reading, and not to leave for a long task.
            if not self._closed:
                return message
            self._report([message[NUMBER]])

    def pop(self) -> Message | None:
        """The next delivery that has already come, or None."""
        try:
            return self._ready.popleft()
        except IndexError:
            return None

    def read(self) -> bool:
        """Read what is there without blocking; False when the control thread has the lead.

        For the event loop, whose socket is non-blocking.
        """
        if not self._lead.acquire(blocking=False):
            return False
        try:
            self._receive()
        except BlockingIOError:
            pass
        finally:
            self._lead.release()
        return True

    def close(self) -> bool:
        """Start nothing more: give back what has come, and all that still comes.

        Returns:
            whether the caller is the one who has to call `drain` when the socket is readable
            (until `ended`); otherwise a runner thread is reading, and goes on.
        """
        with self._gate:
            self._closed = True
            numbers = []
            while (message := self.pop()) is not None:
                numbers.append(message[NUMBER])
        if numbers:
            self._report(numbers)
        return self._lead.acquire(blocking=False)

    def drain(self) -> None:
        """Read once, by whom `close` has told to; lets go of the lead at the socket's end."""
        try:
            self._receive()
        except BlockingIOError:
            return
        if self.ended:
            self._lead.release()

    def withdraw(self, numbers: Collection[int]) -> None:
        """Give back these deliveries if they are not started; those still to come, on arrival."""
        wanted = set(numbers)
        back = []
        with self._gate:
            self._unwanted |= wanted
            for message in list(self._ready):
                if message[NUMBER] in wanted:
                    try:
                        self._ready.remove(message)
                    except (ValueError, IndexError):  # it has just been started
                        continue
                    back.append(message[NUMBER])
            self._unwanted -= set(back)
        if back:
            self._report(back)

    def _receive(self) -> None:
        """Read once. The caller has the lead."""
        try:
            size = self._sock.recv_into(self._buffer)
        except BlockingIOError:
            raise
        except OSError:
            self._on_broken()
            self.ended = True
            return
        if not size:
            self.ended = True
            return
        messages = self._unpacker.feed(self._view[:size])
        back: list[int] = []
        with self._gate:
            if self._closed:
                back = [message[NUMBER] for message in messages]
            elif self._unwanted:
                for message in messages:
                    if message[NUMBER] in self._unwanted:
                        self._unwanted.discard(message[NUMBER])
                        back.append(message[NUMBER])
                    else:
                        self._ready.append(message)
            else:
                self._ready.extend(messages)
        if back:
            self._report(back)

    def close_socket(self) -> None:
        """Close the socket; nothing is read any more."""
        self._sock.close()

    def close_after_fork(self) -> None:
        """In a forked child: let go of the socket."""
        os.close(self._sock.detach())
