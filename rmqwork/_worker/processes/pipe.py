"""The worker process's end of a socket to another process of its own: never blocks the loop."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from rmqwork._worker.ipc.reports import ReportViolation
from rmqwork._worker.ipc.wire import READ_SIZE, Message, Unpacker, pack


class Decoder(Protocol):
    """Turns the bytes of a socket into messages."""

    def feed(self, data: bytes, /) -> list[Message]:
        """Return all messages that are complete with this piece.

        Raises:
            ReportViolation: the bytes are nothing that the other end may say.
        """
        ...


class Pipe:
    """Messages over a non-blocking socket, in the running loop.

    What the socket does not take at once waits in memory and goes out as it takes it; so bodies of
    any size cost the loop no more than the copy.

    Args:
        sock: the socket; it belongs to the pipe now.
        receive: called with all messages of one read; None = nothing is read from this pipe.
        ended: called once when the other end is closed or gone. Not called after `close`.
        decoder: of what is read; None: of the messages of a process that runs no tasks.
        violated: called once when the other end has said what it may not; nothing more is read.
    """

    def __init__(
        self,
        sock: socket.socket,
        receive: Callable[[list[Message]], None] | None = None,
        ended: Callable[[], None] | None = None,
        decoder: Decoder | None = None,
        violated: Callable[[ReportViolation], None] | None = None,
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._receive = receive
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._decoder: Decoder = decoder or Unpacker()
        self._violated = violated
        self._deaf = False
        self._backlog: deque[tuple[memoryview, tuple[int, ...]]] = deque()
        self._closed = False
        self._broken = False
        self._end_after_backlog = False
        self.backlog = 0
        """Bytes that wait to be sent."""
        if receive is not None:
            self._loop.add_reader(sock, self._on_readable)

    def send(self, messages: Sequence[Message], fds: Sequence[int] = ()) -> None:
        """Send messages in one frame; after the other end is gone this does nothing.

        Args:
            messages: in their order.
            fds: descriptors that travel along; they are closed here once they are sent.
        """
        if self._closed or self._broken or self._end_after_backlog:
            _close_all(fds)
            return
        data = memoryview(pack(messages))
        self._backlog.append((data, tuple(fds)))
        self.backlog += len(data)
        if len(self._backlog) == 1:
            self._flush()
            if self._backlog:
                self._loop.add_writer(self._sock, self._on_writable)

    def end(self) -> None:
        """Send what waits, then tell the other end that no more comes."""
        self._end_after_backlog = True
        if not self._backlog:
            self._shut()

    def drain(self) -> None:
        """Read all that is there, now; for a peer that is dead, so that no more can come."""
        while self._read():
            pass

    def close(self) -> None:
        """Close the socket; what waits is dropped."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._drop()
        self._sock.close()

    def _flush(self) -> None:
        try:
            while self._backlog:
                data, fds = self._backlog[0]
                if fds:
                    sent = socket.send_fds(self._sock, [data], list(fds))
                    _close_all(fds)
                else:
                    sent = self._sock.send(data)
                self.backlog -= sent
                if sent < len(data):
                    self._backlog[0] = (data[sent:], ())
                else:
                    self._backlog.popleft()
        except (BlockingIOError, InterruptedError):
            return
        except OSError:  # the peer is gone; whoever reads this pipe is told by its end
            self._broken = True
            self._drop()

    def _on_writable(self) -> None:
        self._flush()
        if not self._backlog:
            self._loop.remove_writer(self._sock)
            if self._end_after_backlog:
                self._shut()

    def _on_readable(self) -> None:
        self._read()

    def _read(self) -> bool:
        """Read once; False when there is nothing (more) to read."""
        if self._closed:
            return False
        try:
            data = self._sock.recv(READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._sock)
            ended, self._ended = self._ended, None
            if ended is not None:
                ended()
            return False
        if not self._deaf:
            self._take(data)
        return True

    def _take(self, data: bytes) -> None:
        try:
            self._give(self._decoder.feed(data))
        except ReportViolation as error:
            self._deaf = True  # it is read on, but only for its end
            with suppress(ReportViolation):
                self._give(error.before)
            if self._violated is not None:
                self._violated(error)

    def _give(self, messages: list[Message]) -> None:
        if not messages or self._receive is None:
            return
        try:
            self._receive(messages)
        except ReportViolation:
            raise
        except Exception as error:
            # A fault of the receiver must not keep it from the rest, nor from a death.
            self._loop.call_exception_handler(
                {"message": "the receiver of a pipe failed", "exception": error}
            )

    def _shut(self) -> None:
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def _drop(self) -> None:
        for _, fds in self._backlog:
            _close_all(fds)
        self._backlog.clear()
        self.backlog = 0


def _close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)
