"""How much to hold, and how much to send ahead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmqwork._worker.model.flow import (
    MAX_PREFETCH,
    Average,
    Throughput,
    ahead,
    changed_prefetch,
    wanted_prefetch,
)


@pytest.mark.parametrize(
    ("slots", "rate", "wanted"),
    [(8, 0, 8), (8, 10, 9), (8, 1000, 108), (1, 0.1, 1), (16, 1e9, MAX_PREFETCH)],
)
def test_prefetch_is_capacity_and_a_tenth_of_a_second(slots: int, rate: float, wanted: int):
    assert wanted_prefetch(slots, rate) == wanted


def test_something_is_here_to_choose_from_where_there_is_a_choice():
    assert wanted_prefetch(1, 0.1, mixed=True) == 3
    assert wanted_prefetch(8, 1000, mixed=True) == 108


@given(st.integers(0, 10_000), st.floats(0, 1e9))
def test_prefetch_has_bounds(slots: int, rate: float):
    assert 1 <= wanted_prefetch(slots, rate) <= MAX_PREFETCH


@given(st.integers(1, MAX_PREFETCH), st.integers(1, MAX_PREFETCH))
def test_prefetch_changes_only_when_it_is_worth_it(current: int, wanted: int):
    change = changed_prefetch(current, wanted)

    assert change in (None, wanted)
    assert changed_prefetch(wanted, wanted) is None
    if change is None:
        assert current * 0.4 <= wanted <= current * 1.5


def test_long_tasks_are_not_sent_ahead():
    assert ahead(8, None) == 0
    assert ahead(8, 1.0) == 0
    assert ahead(8, 0.08) == 1
    assert ahead(8, 0.001) == 64
    assert ahead(8, 0.0) == 64


def test_an_average_follows():
    average = Average(0.5)
    assert average.value is None

    average.add(10)
    assert average.value == 10
    average.add(20)
    assert average.value == 15


def test_throughput_rises_at_once_and_falls_slowly():
    throughput = Throughput()
    for _ in range(50):
        throughput.add()

    assert throughput.rate(0.5) == 100
    fell = throughput.rate(0.5)
    assert 80 < fell < 100
    for _ in range(100):
        fell = throughput.rate(0.5)
    assert fell < 1
