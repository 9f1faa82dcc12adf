"""The thread that listens to the worker process; it answers while all task threads are busy."""

from __future__ import annotations

import logging
import select
import socket
import threading
import time
from collections.abc import Sequence
from typing import Final, Protocol

from rmqwork._executor.control_writer import ControlWriter
from rmqwork._executor.inbox import Inbox
from rmqwork._executor.pipe_publisher import PipePublisher
from rmqwork._worker.ipc.wire import READ_SIZE, Message, Unpacker

_TICK: Final = 1000  # milliseconds between two looks for publishes that had no answer


class ControlHooks(Protocol):
    """What the executor does when it is told to; called in the control thread."""

    def stopping(self) -> None:
        """The worker shuts down: tell the tasks."""

    def cancel(self, number: int, why: str) -> None:
        """Cancel one coroutine task."""

    def cancel_async(self) -> None:
        """Cancel all coroutine tasks."""

    def stack(self, number: int) -> str:
        """Where a task stands."""
        ...

    def inbox_ended(self) -> None:
        """An inbox that this thread reads has come to its end."""

    def worker_ended(self) -> None:
        """The worker process is gone: nobody is there to take an outcome."""


class ControlThread(threading.Thread):
    """Reads the control socket.

    Args:
        sock: the control socket.
        inboxes: the deliveries that have to be given back on request.
        publisher: gets the answers to publishes.
        hooks: everything else.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        writer: ControlWriter,
        inboxes: Sequence[Inbox],
        publisher: PipePublisher,
        hooks: ControlHooks,
    ) -> None:
        super().__init__(name="rmqwork-control", daemon=True)
        self._sock = sock
        self._writer = writer
        self._inboxes = inboxes
        self._publisher = publisher
        self._hooks = hooks
        self._unpacker = Unpacker()
        self._draining: dict[int, Inbox] = {}
        self._closed = False
        self._poller = select.poll()
        self._poller.register(sock, select.POLLIN)

    def run(self) -> None:
        """Serve until the worker process is gone."""
        control = self._sock.fileno()
        while True:
            for fd, _ in self._poller.poll(_TICK):
                if fd == control:
                    if not self._receive():
                        return
                elif inbox := self._draining.get(fd):
                    self._drain(fd, inbox)
            self._publisher.expire(time.monotonic())

    def _receive(self) -> bool:
        """Obey what has come; False when the worker process is gone."""
        try:
            data = self._sock.recv(READ_SIZE)
        except OSError:
            data = b""
        if not data:
            self._publisher.abandon("the worker process is gone")
            self._hooks.worker_ended()
            return False
        for message in self._unpacker.feed(data):
            self._obey(message)
        return True

    def _obey(self, message: Message) -> None:
        match message:
            case ("published", request, values):
                self._publisher.published(request, values)
            case ("ping", number):
                self._writer.send((("pong", number),))
            case ("give-back", None) | ("exit",):
                self._give_back()
            case ("give-back", numbers):
                for inbox in self._inboxes:
                    inbox.withdraw(numbers)
            case ("stopping",):
                self._hooks.stopping()
            case ("cancel", number, why):
                self._hooks.cancel(number, why)
            case ("cancel-async",):
                self._hooks.cancel_async()
            case ("stack", request, number):
                self._writer.send((("stack", request, self._hooks.stack(number)),))
            case ("log-level", logger, level):
                logging.getLogger(logger).setLevel(level)

    def _give_back(self) -> None:
        if self._closed:
            return
        self._closed = True
        for inbox in self._inboxes:
            if inbox.close():
                self._draining[inbox.fileno()] = inbox
                self._poller.register(inbox.fileno(), select.POLLIN)

    def _drain(self, fd: int, inbox: Inbox) -> None:
        inbox.drain()
        if inbox.ended:
            self._poller.unregister(fd)
            del self._draining[fd]
            self._hooks.inbox_ended()
