"""When a broker that says nothing is given up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rmqwork._transport.amqp.pika_internals import Heartbeats


class Clocked:
    """A connection with a clock, as far as heartbeats are concerned."""

    def __init__(self) -> None:
        self.now = 0.0
        self.bytes_received = self.bytes_sent = 0
        self.heartbeats = 0
        self.ended: float | None = None
        self._timers: list[tuple[float, Callable[[], None]]] = []

    def run(self, until: float) -> None:
        """Let time pass."""
        while self.ended is None and (due := min(self._timers, key=lambda one: one[0]))[0] <= until:
            self._timers.remove(due)
            self.now = due[0]
            due[1]()
        self.now = until

    def _adapter_call_later(self, delay: float, callback: Callable[[], None]) -> object:
        self._timers.append((self.now + delay, callback))
        return self._timers[-1]

    def _adapter_remove_timeout(self, timer: Any) -> None:
        self._timers = [one for one in self._timers if one is not timer]

    def _send_frame(self, _frame: object) -> None:
        self.heartbeats += 1

    def _terminate_stream(self, _error: Exception) -> None:
        self.ended = self.now


@pytest.mark.parametrize("silent_from", [0.0, 1.0, 2.4, 99.0])
def test_a_silent_broker_is_given_up_within_a_heartbeat_and_a_half(silent_from: float) -> None:
    connection = Clocked()
    Heartbeats(connection, 10)
    last = 0.0
    for second in range(int(silent_from)):
        connection.run(second)
        connection.bytes_received += 8
        last = second

    connection.run(200)

    assert connection.ended is not None
    assert 12.5 <= connection.ended - last <= 15


def test_a_short_heartbeat_leaves_time_to_a_busy_machine() -> None:
    connection = Clocked()
    Heartbeats(connection, 1)

    connection.run(20)

    assert connection.ended == pytest.approx(3.5)


def test_a_broker_that_sends_a_heartbeat_now_and_then_is_kept() -> None:
    connection = Clocked()
    Heartbeats(connection, 10)
    for beat in range(1, 100):
        connection.run(beat * 12)  # late, but one of two
        connection.bytes_received += 8

    assert connection.ended is None
    assert connection.heartbeats == 99 * 12 // 5
