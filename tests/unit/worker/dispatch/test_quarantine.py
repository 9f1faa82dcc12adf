"""How suspects are grouped, and what it takes to find the culprit among them."""

from __future__ import annotations

import pytest

from rmqwork._worker.dispatch.quarantine import FEW, Quarantine, split
from rmqwork._worker.model.held import HeldDelivery
from tests.unit.fakes import delivery


def helds(count: int, channel: object | None = None) -> list[HeldDelivery]:
    return [HeldDelivery(n, delivery(channel, n), "q", f"id-{n}", 1, "async") for n in range(count)]


def test_few_run_one_by_one():
    assert [len(group) for group in split(helds(FEW), 4)] == [1] * FEW


@pytest.mark.parametrize(("parts", "sizes"), [(1, [5, 4]), (2, [5, 4]), (3, [3, 3, 3])])
def test_many_run_in_as_many_groups_as_there_are_processes(parts: int, sizes: list[int]):
    many = helds(9)

    groups = split(many, parts)

    assert [len(group) for group in groups] == sizes
    assert [held for group in groups for held in group] == many


@pytest.mark.parametrize("parts", [1, 2, 4, 16])
def test_one_culprit_among_500_is_found_in_a_few_deaths(parts: int):
    # Given 500 that died together, and a process that dies whenever the culprit is in it
    quarantine, many = Quarantine(parts), helds(500)
    quarantine.add(many)
    cleared: set[int] = set()
    deaths = 0

    # When they run group by group, and each group that dies is added again
    while len(quarantine):
        group = quarantine.next()
        if all(held.number != 123 for held in group):
            cleared |= {held.number for held in group}
        elif len(group) > 1:
            deaths += 1
            quarantine.add(group)

    # Then only the culprit is left, after as many deaths as it takes to halve them to a few
    assert cleared == {held.number for held in many} - {123}
    assert deaths <= 6


def test_what_did_not_run_is_next_again_and_as_it_was():
    quarantine = Quarantine(2)
    quarantine.add(helds(30))
    group = quarantine.next()

    quarantine.put_back(group)
    quarantine.put_back([])

    assert quarantine.next() == group
    assert len(quarantine) == 1


def test_the_deliveries_of_a_lost_channel_are_forgotten():
    quarantine, gone = Quarantine(), object()
    quarantine.add([*helds(2, gone), *(stay := helds(1))])

    quarantine.forget(gone)

    assert list(quarantine) == stay
    assert len(quarantine) == 1
    quarantine.clear()
    assert not quarantine


def test_those_of_first_suspicion_run_in_groups_after_the_groups_that_died():
    quarantine = Quarantine(2, size=4)
    for held in (many := helds(6)):
        quarantine.add_first(held)
    died = helds(1)
    quarantine.add(died)

    assert len(quarantine) == 3
    assert [quarantine.next() for _ in range(3)] == [died, many[:4], many[4:]]
    assert not quarantine


def test_what_is_kept_does_not_run_and_is_taken_by_its_queue():
    quarantine, [first, other] = Quarantine(), helds(2)
    other.queue = "another"
    quarantine.keep(first)
    quarantine.keep(other)

    assert not quarantine
    assert list(quarantine) == [first, other]
    assert quarantine.take_kept("q") == [first]
    assert quarantine.remove(lambda held: held is other) == [other]
    assert list(quarantine) == []
