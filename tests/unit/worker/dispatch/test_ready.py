"""Which delivery runs next."""

from __future__ import annotations

from collections import Counter
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmqwork._worker.dispatch.ready import Ready
from rmqwork._worker.model.held import HeldDelivery
from tests.unit.fakes import delivery

_numbers = count(1)


def held(queue: str, lane: str = "thread", channel: object | None = None) -> HeldDelivery:
    return HeldDelivery(next(_numbers), delivery(channel), queue, "id", 1, lane)


def fill(ready: Ready, queue: str, number: int, lane: str = "thread") -> list[HeldDelivery]:
    helds = [held(queue, lane) for _ in range(number)]
    for one in helds:
        ready.add(one)
    return helds


def take(ready: Ready, number: int, lane: str = "thread") -> list[str]:
    taken = [ready.next(lane) for _ in range(number)]
    return [one.queue for one in taken if one is not None]


def test_strict_priority_serves_the_first_queue_until_it_is_empty():
    ready = Ready([("high", None), ("low", None)])
    fill(ready, "low", 3)
    fill(ready, "high", 2)

    assert take(ready, 3) == ["high", "high", "low"]
    fill(ready, "high", 1)
    assert take(ready, 3) == ["high", "low", "low"]
    assert ready.next("thread") is None


def test_weights_serve_in_proportion_and_evenly():
    ready = Ready([("a", 3), ("b", 1)])
    fill(ready, "a", 100)
    fill(ready, "b", 100)

    taken = take(ready, 80)

    assert Counter(taken) == {"a": 60, "b": 20}
    for at in range(0, 80, 4):
        assert Counter(taken[at : at + 4]) == {"a": 3, "b": 1}


def test_a_queue_that_was_empty_is_owed_nothing():
    ready = Ready([("a", 1), ("b", 1)])
    fill(ready, "a", 50)
    take(ready, 40)
    fill(ready, "a", 50)
    fill(ready, "b", 50)

    assert abs(Counter(take(ready, 40))["b"] - 20) <= 1


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 9), min_size=1),
    st.integers(1, 5),
)
def test_every_queue_gets_its_share_in_every_round(weights: dict[str, int], rounds: int):
    ready = Ready(list(weights.items()))
    for queue, weight in weights.items():
        fill(ready, queue, weight * rounds)

    for _ in range(rounds):
        assert Counter(take(ready, sum(weights.values()))) == weights
    assert len(ready) == 0


def test_lanes_do_not_wait_for_each_other():
    ready = Ready([("q", None)])
    fill(ready, "q", 2, "thread")
    assert ready.next("async") is None
    assert not ready.has("async")

    fill(ready, "q", 1, "async")

    assert ready.has("async")
    assert take(ready, 3, "async") == ["q"]
    assert len(ready) == 2


def test_within_a_queue_the_order_of_delivery_holds():
    ready = Ready([("q", None)])
    helds = fill(ready, "q", 5)

    first, second = ready.next("thread"), ready.next("thread")
    assert [first, second] == helds[:2]
    ready.put_back(helds[:2])

    assert [ready.next("thread") for _ in range(5)] == helds


def test_the_deliveries_of_a_lost_channel_are_forgotten():
    ready = Ready([("q", None)])
    gone, stays = object(), object()
    for number in range(6):
        ready.add(held("q", channel=gone if number % 2 else stays))

    ready.forget(gone)

    assert len(ready) == 3
    assert all(one.delivery.channel is stays for one in ready.clear())


def test_clear_gives_all_in_delivery_order():
    ready = Ready([("a", None), ("b", None)])
    helds = [held("ab"[n % 2], ("thread", "async")[n % 3 == 0]) for n in range(10)]
    for one in helds:
        ready.add(one)

    assert ready.clear() == helds
    assert len(ready) == 0
    assert ready.clear() == []


@pytest.mark.parametrize("weight", [None, 2])
def test_one_queue_alone_is_served(weight: int | None):
    ready = Ready([("only", weight)])
    fill(ready, "only", 3)

    assert take(ready, 9) == ["only"] * 3
