"""Crashes, at every step and at random, of two workers that share a shard.

Whatever order things happen in: what follows from a join is published once, and again only after a
crash between that and its marker; no message leaves the queue before it; everything ends.
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.unit.workflows.shared_shard import JOINS, SIZE, SharedShardHarness

STEPS = ("deliver", "arrive", "confirm") * 4
FAULTS = {
    "crash": lambda harness, other: harness.crash(0, other, False),
    "crash, and what was sent arrives": lambda harness, other: harness.crash(0, other, True),
    "loss of the channel": lambda harness, other: harness.lose_the_channel(0, other),
    "shutdown": lambda harness, other: harness.hand_back(other),
}


def take(harness: SharedShardHarness, step: str) -> None:
    if step == "deliver":
        harness.deliver(100)
    elif step == "arrive":
        harness.all_publications_arrive()
    else:
        harness.all_that_arrived_is_confirmed()
    harness.check()


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("other", [0, 1])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("at", range(len(STEPS)))
def test_a_fault_after_each_step(at: int, fault: str, other: int, fails: bool) -> None:
    harness = SharedShardHarness()
    harness.everything("a")
    if fails:
        harness.failure(1)
    harness.everything("b")
    for step in STEPS[: at + 1]:
        take(harness, step)
    FAULTS[fault](harness, other)
    harness.check()
    harness.everything("a")  # late copies
    for step in STEPS:
        take(harness, step)
    harness.finish()


class JoinMachine(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.harness = SharedShardHarness()

    @rule(join=st.sampled_from(JOINS))
    def open(self, join: str) -> None:
        self.harness.open(join)

    @rule(join=st.sampled_from(JOINS), index=st.integers(0, SIZE - 1))
    def part(self, join: str, index: int) -> None:
        self.harness.part(join, index)

    @rule(join=st.sampled_from(JOINS))
    def everything(self, join: str) -> None:
        self.harness.everything(join)

    @rule(index=st.integers(0, SIZE - 1))
    def failure(self, index: int) -> None:
        self.harness.failure(index)

    @rule(number=st.sampled_from([1, 2, 10]))
    def deliver(self, number: int) -> None:
        self.harness.deliver(number)

    @rule(data=st.data())
    def arrives(self, data: st.DataObject) -> None:
        on_their_way = [sent for sent in self.harness.sent if not sent.arrived]
        if on_their_way:
            self.harness.arrive(data.draw(st.sampled_from(on_their_way)))

    @rule(data=st.data())
    def is_confirmed(self, data: st.DataObject) -> None:
        arrived = [sent for sent in self.harness.sent if sent.arrived]
        if arrived:
            self.harness.confirm(data.draw(st.sampled_from(arrived)))

    @rule(step=st.sampled_from(STEPS))
    def all_of_a_kind(self, step: str) -> None:
        take(self.harness, step)

    @rule(which=st.integers(0, 1), other=st.integers(0, 1), arrives=st.booleans())
    def crash(self, which: int, other: int, arrives: bool) -> None:
        self.harness.crash(which, other, arrives)

    @rule(which=st.integers(0, 1), other=st.integers(0, 1))
    def lose_the_channel(self, which: int, other: int) -> None:
        self.harness.lose_the_channel(which, other)

    @rule(other=st.integers(0, 1))
    def hand_back(self, other: int) -> None:
        self.harness.hand_back(other)

    @invariant()
    def it_holds(self) -> None:
        if hasattr(self, "harness"):
            self.harness.check()

    def teardown(self) -> None:
        if hasattr(self, "harness"):
            for join in JOINS:
                self.harness.everything(join)
            self.harness.finish()


JoinMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, derandomize=True
)
test_joins_under_crashes = JoinMachine.TestCase
