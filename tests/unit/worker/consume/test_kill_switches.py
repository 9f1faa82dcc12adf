"""What the states of a queue's kill switch mean for its consumers."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from rmqwork import KillSwitch
from rmqwork._worker.consume.kill_switches import KillSwitches, failed
from rmqwork._worker.model.held import HeldDelivery
from rmqwork.types import Evidence, Failure, Outcome, Reason, Replaced, RetryOutcome, Success
from tests.unit.fakes import FakeConsumeChannel, delivery

EVIDENCE = Evidence("E", "m")
BAD = Failure(0.1, Reason.FAILED, EVIDENCE)
GOOD = Success(0.1)


class KillSwitchHarness:
    """The switches of the queue ``q``, and what its consumers were told."""

    def __init__(self) -> None:
        self.now = [1000.0]
        self.calls: list[tuple[Any, ...]] = []
        self.admitted: list[HeldDelivery] = []
        policy = KillSwitch(least=2, ratio=0.5, window=60.0, wait=30.0, probes=2)
        self.switches = KillSwitches(
            {"q": policy}, self, self.admitted.append, lambda queue: 17, clock=lambda: self.now[0]
        )
        self._numbers = count(1)

    def pause(self, queue: str, reason: str) -> None:
        self.calls.append(("pause", queue, reason))

    def resume(self, queue: str, reason: str) -> None:
        self.calls.append(("resume", queue, reason))

    def set_prefetch(self, queue: str, prefetch: int) -> None:
        self.calls.append(("prefetch", queue, prefetch))

    def held(self, queue: str = "q", channel: object | None = None) -> HeldDelivery:
        number = next(self._numbers)
        return HeldDelivery(number, delivery(channel, number), queue, f"id-{number}", 1)

    def trip(self) -> None:
        """Two tasks fail."""
        for _ in range(2):
            self.switches.ended(self.held(), BAD)

    def probe(self) -> HeldDelivery:
        """The wait is over, and a first delivery runs."""
        self.now[0] += 31
        self.switches.watch()
        held = self.held()
        assert self.switches.admits(held)
        return held


@pytest.fixture
def harness() -> KillSwitchHarness:
    return KillSwitchHarness()


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        (GOOD, False),
        (Replaced(0.1, b"{}"), False),
        (RetryOutcome(0.1, 1.0, True, EVIDENCE), True),
        (RetryOutcome(0.1, 1.0, False, EVIDENCE), None),
        (BAD, True),
        (Failure(0.1, Reason.TIME_LIMIT, EVIDENCE), True),
        (Failure(0.1, Reason.WORKER_CRASHED, EVIDENCE), True),
        (Failure(0.1, Reason.REJECTED, EVIDENCE), None),
        (Failure(0.1, Reason.INVALID_MESSAGE, EVIDENCE), None),
        (Failure(0.1, Reason.REVOKED, EVIDENCE), None),
    ],
)
def test_what_speaks_against_a_queues_tasks(outcome: Outcome, verdict: bool | None) -> None:
    assert failed(outcome) is verdict


def test_when_enough_have_failed_nothing_is_taken_and_it_is_said(
    harness: KillSwitchHarness, caplog: pytest.LogCaptureFixture
) -> None:
    assert not harness.switches.restricts("q")
    harness.trip()

    assert harness.calls == [("pause", "q", "kill switch")]
    assert harness.switches.restricts("q")
    assert harness.switches.detail() == {"q": {"state": "waiting", "again_in_s": 30.0}}
    assert "nothing is taken from it for 30 s" in caplog.text


def test_a_queue_without_a_switch_is_never_restricted(harness: KillSwitchHarness) -> None:
    for _ in range(10):
        harness.switches.ended(harness.held("other"), BAD)

    assert harness.calls == []
    assert not harness.switches.restricts("other")
    assert harness.switches.admits(harness.held("other"))


def test_after_the_wait_one_message_at_a_time_runs(harness: KillSwitchHarness) -> None:
    harness.trip()
    harness.now[0] += 29
    harness.switches.watch()
    assert len(harness.calls) == 1

    first = harness.probe()
    assert harness.calls[1:] == [("prefetch", "q", 1), ("resume", "q", "kill switch")]
    assert harness.switches.admits(first)
    second = harness.held()
    assert not harness.switches.admits(second)

    harness.switches.gone(first)
    assert harness.admitted == [second]


def test_a_probe_that_fails_pauses_again(harness: KillSwitchHarness) -> None:
    harness.trip()
    first = harness.probe()

    harness.switches.ended(first, BAD)

    assert harness.calls[-1] == ("pause", "q", "kill switch")
    assert harness.switches.restricts("q")


def test_when_probes_succeed_all_is_taken_again_with_what_waited(
    harness: KillSwitchHarness,
) -> None:
    harness.trip()
    first = harness.probe()
    second, third, fourth = (harness.held() for _ in range(3))
    assert [harness.switches.admits(one) for one in (second, third, fourth)] == [False] * 3

    harness.switches.ended(first, GOOD)
    harness.switches.gone(first)
    assert harness.switches.admits(second)
    assert harness.switches.restricts("q")
    harness.switches.ended(second, GOOD)

    assert not harness.switches.restricts("q")
    assert harness.calls[-1] == ("prefetch", "q", 17)
    assert harness.admitted == [second, third, fourth]


def test_what_its_channel_has_taken_along_is_forgotten(harness: KillSwitchHarness) -> None:
    lost, open_channel = FakeConsumeChannel(), FakeConsumeChannel()
    harness.trip()
    harness.now[0] += 31
    harness.switches.watch()
    probe, gone = harness.held(channel=lost), harness.held(channel=lost)
    stays = harness.held(channel=open_channel)
    assert [harness.switches.admits(one) for one in (probe, gone, stays)] == [True, False, False]

    lost.is_open = False
    harness.switches.watch()

    assert harness.admitted == [stays]


def test_what_waits_for_its_turn_can_be_taken(harness: KillSwitchHarness) -> None:
    harness.trip()
    harness.probe()
    mine, other = harness.held(), harness.held()
    for one in (mine, other):
        harness.switches.admits(one)

    assert harness.switches.remove(lambda held: held is mine) == [mine]
    assert harness.switches.remove(lambda held: True) == [other]
