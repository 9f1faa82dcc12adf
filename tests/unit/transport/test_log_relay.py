"""What the I/O thread logs is handled by another thread."""

from __future__ import annotations

import logging
import threading
from _thread import get_ident
from collections.abc import Callable, Iterator

import pytest

from rmqwork._transport import log_relay
from tests.waiting import until

LOGGER = logging.getLogger("rmqwork.publisher")


class Noting(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, str, bool]] = []

    def emit(self, record: logging.LogRecord) -> None:
        name = threading.current_thread().name
        self.seen.append((record.getMessage(), name, log_relay.in_relay()))


@pytest.fixture
def handler() -> Iterator[Noting]:
    handler = Noting()
    LOGGER.addHandler(handler)
    yield handler
    LOGGER.removeHandler(handler)


def in_io_thread(function: Callable[[], object]) -> None:
    def main() -> None:
        log_relay.reserved.add(get_ident())
        function()
        log_relay.reserved.discard(get_ident())

    thread = threading.Thread(target=main, name="io")
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_other_threads_log_as_ever(handler: Noting):
    LOGGER.warning("here")

    assert handler.seen == [("here", threading.current_thread().name, False)]


def test_an_io_thread_does_not_wait_for_a_handlers_lock(handler: Noting):
    with handler.lock:  # type: ignore[union-attr]  # as by a handler that publishes, and waits for it
        in_io_thread(lambda: LOGGER.warning("there"))
        assert handler.seen == []

    until(lambda: handler.seen == [("there", "rmqwork-logs", True)], "the record")


def test_a_handler_that_fails_does_not_end_the_relay(handler: Noting, capsys):
    emit = handler.emit
    handler.emit = lambda record: 1 / 0  # type: ignore[method-assign]
    in_io_thread(lambda: LOGGER.warning("lost"))
    until(lambda: "ZeroDivisionError" in capsys.readouterr().err, "its traceback")

    handler.emit = emit  # type: ignore[method-assign]
    in_io_thread(lambda: LOGGER.warning("next"))
    log_relay.drain()
    assert [text for text, *_ in handler.seen] == ["next"]


def test_another_librarys_loggers_are_relayed_by_their_prefix(handler: Noting):
    theirs = logging.getLogger("theirs.deep")
    theirs.addHandler(handler)
    log_relay.relay_logs("theirs")

    in_io_thread(lambda: theirs.warning("deep"))
    log_relay.drain()

    assert handler.seen == [("deep", "rmqwork-logs", True)]


def test_who_publishes_inline_is_relayed_meanwhile(handler: Noting):
    with log_relay.logs_relayed():
        LOGGER.warning("inside")
    LOGGER.warning("after")
    log_relay.drain()

    assert sorted(handler.seen) == [
        ("after", threading.current_thread().name, False),
        ("inside", "rmqwork-logs", True),
    ]


def test_whether_this_thread_holds_the_lock_of_logging():
    assert not log_relay.holds_logging_lock()
    with logging._lock:  # type: ignore[attr-defined]
        assert log_relay.holds_logging_lock()
