"""A short campaign: faults from a few seeds, and nothing may be lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from rmqwork.testing.broker import Broker
from tools.chaos.campaign import ChaosOptions, run_once
from tools.chaos.faults import Fault, plan

pytestmark = [pytest.mark.slow, pytest.mark.broker, pytest.mark.timeout(600)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_is_lost(seed: int, own_broker: Broker, tmp_path: Path) -> None:
    # Given two workers and two producers on a broker of their own
    options = ChaosOptions(seconds=20, rate=40)

    # When processes, connections and the broker are broken for 20 s
    result = run_once(seed, options, own_broker, tmp_path)

    # Then every confirmed message was executed or dead-lettered, for a reason
    told = (seed, result.verdict.to_dict(), result.problems, result.bad_departures, str(tmp_path))
    assert result.good, told
    assert result.problems == [], told
    assert sum(result.faults.values()) >= 8, told
    assert len(result.verdict.executed) > 100, told
    assert not result.verdict.unexplained, told


def test_a_frozen_broker_is_survived(own_broker: Broker, tmp_path: Path) -> None:
    # Given a load, and a heartbeat of 10 s
    options = ChaosOptions(seconds=55, rate=30, heartbeat=10)
    fault = Fault(0, 3.0, "pause-broker", "broker", 30.0, 0.5)

    # When the broker is frozen for 30 s, so that every connection is given up
    result = run_once(0, options, own_broker, tmp_path, [fault])

    # Then all of it goes on by itself within the heartbeat + 10 s, and nothing confirmed is missing
    assert result.good, (result.verdict.to_dict(), result.problems, str(tmp_path))
    assert result.slowest < 20
    assert len(result.verdict.acknowledged) > 300


def test_the_same_seed_gives_the_same_faults() -> None:
    assert plan(7, 60) == plan(7, 60)
    assert plan(7, 60) != plan(8, 60)
    assert {fault.role for fault in plan(7, 60, breakable=False)} == {
        "executor",
        "template",
        "worker",
        "producer",
    }
