"""The policy of kill switches: outcomes and time in, states out."""

from __future__ import annotations

import pytest

from rmqwork import ConfigurationError, KillSwitch, Queue
from rmqwork._topology.kill_switch import State, Switch


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


POLICY = KillSwitch(ratio=0.5, window=10, least=4, wait=2, longest=7, probes=2)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def switch(time: Time) -> Switch:
    return Switch(POLICY, time)


def trip(switch: Switch) -> None:
    assert [switch.ended(True) for _ in range(4)] == [False, False, False, True]


def test_it_trips_at_the_ratio_and_not_before_there_are_enough(switch: Switch):
    assert not any(switch.ended(failed) for failed in (True, True, True))
    assert not switch.ended(False)  # a success never trips it
    assert switch.failures == 0.75
    assert switch.ended(True)
    assert switch.state is State.WAITING


def test_fewer_failures_than_the_ratio_do_not_trip_it(switch: Switch):
    for _ in range(50):
        assert not any(switch.ended(failed) for failed in (False, False, True))


def test_only_the_window_counts(switch: Switch, time: Time):
    assert not any(switch.ended(True) for _ in range(3))
    time.now += 10
    assert not any(switch.ended(True) for _ in range(3))
    assert switch.ended(True)


def test_a_long_row_of_successes_is_forgotten_bit_by_bit(switch: Switch, time: Time):
    for _ in range(100):
        switch.ended(False)
        time.now += 0.1
    tripped = 0
    for failures in range(1, 100):
        time.now += 0.1
        if switch.ended(True):
            tripped = failures
            break
    assert 40 <= tripped <= 60  # half of the window's 10 s


def test_after_the_wait_probes_decide(switch: Switch, time: Time):
    trip(switch)
    time.now += 1.9
    assert not switch.due()
    time.now += 0.1
    assert switch.due()
    assert not switch.due()
    assert switch.state is State.PROBING

    assert switch.probed(False) is State.PROBING
    assert switch.probed(False) is State.FLOWING
    trip(switch)  # from the beginning


def test_each_failed_probe_doubles_the_wait(switch: Switch, time: Time):
    trip(switch)
    for wait in (4, 7, 7):
        time.now = switch.until
        assert switch.due()
        assert switch.probed(False) is State.PROBING
        assert switch.probed(True) is State.WAITING
        assert switch.until == time.now + wait


def test_what_ends_late_says_nothing_while_it_waits_or_probes(switch: Switch, time: Time):
    trip(switch)
    assert not switch.ended(True)
    time.now = switch.until
    switch.due()
    assert not switch.ended(True)
    assert switch.state is State.PROBING


@pytest.mark.parametrize(
    "wrong",
    [{"ratio": 0}, {"ratio": 1.5}, {"least": 2.5}, {"window": "1"}, {"wait": True}, {"probes": 0}],
)
def test_a_wrong_policy_is_refused(wrong: dict[str, object]):
    with pytest.raises(ConfigurationError, match=f"KillSwitch: {next(iter(wrong))}"):
        KillSwitch(**wrong)  # type: ignore[arg-type]


def test_a_queue_takes_nothing_else_for_one():
    with pytest.raises(ConfigurationError, match="kill_switch is a KillSwitch"):
        Queue("a", kill_switch=0.5)  # type: ignore[arg-type]
