"""How many suspects a worker holds at once, so that their counts accuse the guilty alone."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmqwork._worker.consume.suspect_prefetch import SuspectPrefetch
from rmqwork._worker.dispatch.quarantine import group_size
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.policy.crash_policy import died_alone
from tests.unit.fakes import delivery

SLOTS = {"thread": 4, "async": 0}
NEW, OLD = (4, 3, 6), (4, 2, 1)


class Channel:
    is_open = True


def suspect(number: int, count: int = 0, channel: Channel | None = None) -> HeldDelivery:
    headers = {"x-delivery-count": count} if count else {}
    came = replace(delivery(channel or Channel(), number), queue="q.suspects", headers=headers)
    return HeldDelivery(number, came, "q", f"id-{number}", 1, "thread")


class Taps:
    """A consumer whose prefetch can be changed."""

    def __init__(self, server: tuple[int, ...] = NEW) -> None:
        self.server = server
        self.prefetch = 1

    def at_once(self, queue: str) -> int:
        assert queue == "q"
        return self.prefetch

    def set_at_once(self, queue: str, prefetch: int) -> None:
        self.prefetch = prefetch


@pytest.mark.parametrize(
    ("slots", "size"),
    [({"thread": 8, "async": 0}, 8), ({"thread": 8, "async": 100}, 8), ({"async": 100}, 16)],
)
def test_a_group_is_what_an_executor_can_start_at_once(slots: dict[str, int], size: int) -> None:
    assert group_size(slots) == size


def test_those_of_first_suspicion_are_held_together() -> None:
    taps = Taps()
    caution = SuspectPrefetch(taps, SLOTS, processes=2)

    assert caution.came(suspect(1))
    assert taps.prefetch == 16  # two groups for each process
    assert caution.came(suspect(2))


@pytest.mark.parametrize(
    ("server", "slots"), [(OLD, SLOTS), ((3, 10, 8), SLOTS), (NEW, {"thread": 1})]
)
def test_one_by_one_where_a_hand_back_counts_or_one_runs_at_a_time(
    server: tuple[int, ...], slots: dict[str, int]
) -> None:
    taps = Taps(server)

    assert SuspectPrefetch(taps, slots, processes=1).came(suspect(1))

    assert taps.prefetch == 1


def test_one_with_a_count_is_held_alone() -> None:
    taps = Taps()

    assert SuspectPrefetch(taps, SLOTS, 1).came(suspect(1, count=1))

    assert taps.prefetch == 1


@pytest.mark.parametrize(("here", "comes"), [(0, 1), (1, 0), (1, 1)])
def test_one_with_a_count_does_not_run_beside_others(here: int, comes: int) -> None:
    # Given a message that runs
    taps = Taps()
    caution = SuspectPrefetch(taps, SLOTS, 1)
    runs, other = suspect(1, here), suspect(2, comes)
    assert caution.came(runs)

    # When another one comes, and one of both has a count
    assert not caution.came(other)

    # Then nothing of this queue is consumed until all is settled, and one by one after that
    assert taps.prefetch == 0
    late = suspect(3)
    assert not caution.came(late)
    caution.gone(other)
    caution.gone(late)
    assert taps.prefetch == 0
    caution.gone(runs)
    assert taps.prefetch == 1


def test_what_a_lost_channel_had_is_held_no_more() -> None:
    taps, channel = Taps(), Channel()
    caution = SuspectPrefetch(taps, SLOTS, 1)
    caution.came(suspect(1, channel=channel))

    channel.is_open = False
    taps.prefetch = 1

    assert caution.came(suspect(2, count=1))


class Pod:
    """A worker that may be killed by what it runs."""

    def __init__(self, queue: deque[tuple[int, int]]) -> None:
        self.queue = queue
        self.dead: list[int] = []
        self.done: list[int] = []
        self.counts: dict[int, int] = {}
        self.begin()

    def begin(self) -> None:
        self.taps = Taps()
        self.caution = SuspectPrefetch(self.taps, SLOTS, 1)
        self.hand: dict[int, int] = {}
        self.running: list[HeldDelivery] = []

    def take(self) -> None:
        """Receive what the prefetch lets come; what must not run goes back at once."""
        kept: list[HeldDelivery] = []
        while self.queue and len(self.hand) < self.taps.prefetch:
            number, count = self.queue.popleft()
            held = suspect(number, count)
            self.hand[number] = count
            if not self.caution.came(held):
                kept.append(held)
            elif died_alone(held, None, NEW) is not None:
                self.dead.append(number)
                self.settled(held)
            else:
                self.running.append(held)
                alone = [one for one in self.running if self.hand[one.number]]
                assert not alone or self.running == alone[:1]
        for held in kept:
            self.queue.appendleft((held.number, self.hand[held.number]))
            self.settled(held)
        self.caution.ended("q")

    def end(self, at: int, guilty: set[int]) -> None:
        """One that runs comes to its end, or to the pod's."""
        held = self.running.pop(at)
        if held.number not in guilty:
            self.done.append(held.number)
            self.settled(held)
            return
        for number, count in reversed(self.hand.items()):
            self.counts[number] = count + 1
            self.queue.appendleft((number, count + 1))
        self.begin()

    def settled(self, held: HeldDelivery) -> None:
        del self.hand[held.number]
        self.caution.gone(held)


@given(st.randoms(use_true_random=False), st.integers(0, 4), st.integers(1, 3))
def test_pods_die_again_and_again_and_only_the_guilty_are_given_up(
    random: Random, killers: int, pods: int
) -> None:
    # Given suspects, some of which kill the pod that runs them, and pods that begin again
    numbers = range(40)
    guilty = set(random.sample(numbers, killers))
    queue = deque((number, 0) for number in numbers)
    crew = [Pod(queue) for _ in range(pods)]

    # When they run in any order
    while queue or any(pod.running for pod in crew):
        pod = random.choice(crew)
        pod.take()
        if pod.running:
            pod.end(random.randrange(len(pod.running)), guilty)

    # Then the guilty are given up, the others are done, and were never counted against but once
    assert {number for pod in crew for number in pod.dead} == guilty
    assert sorted(number for pod in crew for number in pod.done) == sorted(set(numbers) - guilty)
    counts = [pod.counts.get(number, 0) for pod in crew for number in set(numbers) - guilty]
    assert max(counts) <= 1
