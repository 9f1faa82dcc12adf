from __future__ import annotations

import threading

from rmqwork._config.cached import cached_property


class Thing:
    computed = 0

    @cached_property
    def value(self) -> list[int]:
        type(self).computed += 1
        return [self.computed]

    @cached_property
    def slow(self) -> object:
        self.begun.wait(10)
        return object()

    def __init__(self) -> None:
        self.begun = threading.Barrier(2)


def test_it_is_computed_once():
    Thing.computed = 0
    thing = Thing()

    assert thing.value is thing.value
    assert thing.value == [1]
    assert isinstance(Thing.__dict__["value"], cached_property)
    assert Thing.value is Thing.__dict__["value"]


def test_two_threads_compute_at_once_and_share_the_first():
    """With a lock, the barrier would break: only one thread could be inside."""
    thing = Thing()
    seen: list[object] = []
    threads = [threading.Thread(target=lambda: seen.append(thing.slow)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(seen) == 2
    assert seen[0] is seen[1]
