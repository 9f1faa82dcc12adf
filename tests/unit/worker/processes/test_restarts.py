"""The wait before a process that died is replaced."""

from __future__ import annotations

from rmqwork._worker.processes.restarts import Restarts


def test_who_dies_young_again_and_again_is_replaced_later_and_later():
    now = [0.0]
    restarts = Restarts(lambda: now[0])
    delays = []
    for _ in range(12):
        delays.append(restarts.delay())
        now[0] += delays[-1] + 0.1  # it starts after the delay, and dies 0.1 s later

    assert delays[:4] == [0, 0, 0, 0.1]
    assert delays[4:8] == [0.2, 0.4, 0.8, 1.6]
    assert delays[-1] == 10
    now[0] += 6
    assert restarts.delay() == 0, "this one lived for a while"
