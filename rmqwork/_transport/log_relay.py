"""What the I/O thread logs is handled by another thread.

A handler of the application may hold its lock and publish, that is, wait for the I/O thread; if
that waited for the handler's lock, both would wait for ever. So records that are made in a reserved
thread are passed on to one that nobody waits for. In it nothing can be published: what the I/O
thread logs would come back to it, and be logged again.
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import sys
import threading
import traceback
from _thread import get_ident
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_NAMES: Final = ("rmqwork.publisher", "rmqwork.transport", "rmqwork.results", "asyncio")
_DRAIN_TIMEOUT: Final = 2.0

reserved: set[int] = set()
"""Threads that must not wait for the I/O thread: itself, its like, and the relay's own."""


def relay_logs(prefix: str | None = None) -> None:
    """Have the loggers of the I/O thread pass on what is logged there; again for late ones.

    Args:
        prefix: of another library's loggers; default: our own and asyncio's.
    """
    if prefix is None:
        names = list(_NAMES)
    else:
        loggers = tuple(logging.root.manager.loggerDict)
        names = [name for name in loggers if name == prefix or name.startswith(f"{prefix}.")]
    for name in names:
        logging.getLogger(name).addFilter(_relay.passes)  # adds it once


@contextmanager
def logs_relayed() -> Iterator[None]:
    """Pass on what this thread logs, too, for a while."""
    here = get_ident()
    was = here in _relay.publishing
    _relay.publishing.add(here)
    try:
        yield
    finally:
        if not was:
            _relay.publishing.discard(here)


def in_relay() -> bool:
    """Whether this thread is handling what an I/O thread has logged."""
    return _relay.ident == get_ident() or get_ident() in _relay.handling


def holds_logging_lock() -> bool:
    """Whether this thread holds the lock of the logging module, without which no other thread can
    connect: in a hook of `os.register_at_fork`, the module's own hooks hold it over the fork."""
    is_owned = getattr(getattr(logging, "_lock", None), "_is_owned", None)
    return is_owned is not None and bool(is_owned())


def drain() -> None:
    """Wait until what was logged is handled; at the end of the process."""
    _relay.drain()


class _Relay:
    """A queue of records and the thread that hands them to their loggers' handlers."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """In a forked child: no thread, nothing waits."""
        self._records: queue.SimpleQueue[logging.LogRecord | threading.Event] = queue.SimpleQueue()
        self._pid = os.getpid()
        self._claims = [True]
        self.ident = 0
        self.handling: set[int] = set()
        self.publishing: set[int] = set()

    def passes(self, record: logging.LogRecord) -> bool:
        """The filter of the loggers: false if the record goes its own way."""
        here = get_ident()
        if not (here in reserved or here in self.publishing):
            return True
        if here == self.ident or here in self.handling:
            return True
        if self._pid != os.getpid():  # forked by somebody who called no hooks
            self.begin_anew()
        self._records.put(record)
        try:
            self._claims.pop()
        except IndexError:
            return False
        try:
            threading.Thread(target=self._main, name="rmqwork-logs", daemon=True).start()
        except RuntimeError:  # the interpreter is ending: no threads, and nobody else to wait for
            self._claims.append(True)
            self._handle_here()
        return False

    def _main(self) -> None:
        self.ident = get_ident()
        reserved.add(self.ident)
        while True:
            record = self._records.get()
            if isinstance(record, threading.Event):
                record.set()
            else:
                _handle(record)

    def _handle_here(self) -> None:
        here = get_ident()
        self.handling.add(here)
        try:
            while not self._records.empty():
                record = self._records.get()
                if isinstance(record, logging.LogRecord):
                    _handle(record)
        finally:
            self.handling.discard(here)

    def drain(self) -> None:
        if self._pid == os.getpid() and self.ident and self.ident != get_ident():
            done = threading.Event()
            self._records.put(done)
            done.wait(_DRAIN_TIMEOUT)


def _handle(record: logging.LogRecord) -> None:
    try:
        logging.getLogger(record.name).callHandlers(record)
    except Exception:
        if logging.raiseExceptions and sys.stderr is not None:
            traceback.print_exc()


_relay = _Relay()


def _forked() -> None:
    reserved.clear()
    _relay.begin_anew()


relay_logs()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
atexit.register(drain)
