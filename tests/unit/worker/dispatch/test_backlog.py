"""The deliveries that no executor has, wherever they wait."""

from __future__ import annotations

from rmqwork._worker.dispatch.backlog import Backlog
from rmqwork._worker.dispatch.quarantine import Quarantine
from rmqwork._worker.dispatch.ready import Ready
from rmqwork._worker.model.held import HeldDelivery
from tests.unit.fakes import delivery


def held(number: int) -> HeldDelivery:
    return HeldDelivery(number, delivery(None, number), "q", f"id-{number}", 1, "thread")


def test_what_is_unwanted_is_taken_from_each_place() -> None:
    ready, suspects = Ready([("q", None)]), Quarantine()
    for number in (1, 2):
        ready.add(held(number))
    suspects.add([held(3)])
    suspects.keep(held(4))
    backlog = Backlog(ready, suspects)

    assert [one.number for one in backlog.remove(lambda one: one.number in (2, 4))] == [2, 4]
    assert [one.number for one in ready] == [1]
    assert [one.number for one in suspects] == [3]
    assert [one.number for one in Backlog(backlog).remove(lambda _: True)] == [1, 3]
    assert backlog.remove(lambda _: True) == []
