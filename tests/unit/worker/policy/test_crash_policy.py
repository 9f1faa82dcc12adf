"""Who is to blame when a process dies, and what a dead letter tells of it."""

from __future__ import annotations

import pytest

from rmqwork._worker.ipc.death import Death
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.policy.crash_policy import crash_evidence, died_in_place, is_suspect_in_place
from rmqwork._worker.policy.decide import PublishThenAck, decide
from rmqwork.types import Evidence, Failure, Reason
from tests.unit.fakes import delivery


@pytest.mark.parametrize(
    ("death", "says", "headers"),
    [
        (
            Death(1, None, 11, 123_456_789),
            "killed by SIGSEGV (peak memory 123 MB)",
            {"rmqwork-error-signal": "SIGSEGV", "rmqwork-error-peak-memory": 123_456_789},
        ),
        (Death(1, 9, None), "exit code 9", {"rmqwork-error-exit-code": 9}),
        (Death(1, None, 9), "too little memory", {"rmqwork-error-signal": "SIGKILL"}),
    ],
)
def test_a_dead_letter_tells_how_the_process_died(death: Death, says: str, headers: object):
    evidence = crash_evidence(death)
    held = HeldDelivery(1, delivery(), "q", "id", 3, "thread")

    decision = decide(held, Failure(0.0, Reason.WORKER_CRASHED, evidence), "host")

    assert isinstance(decision, PublishThenAck)
    sent = decision.publication.headers
    assert says in str(sent["rmqwork-error-message"])
    facts = ("signal", "exit-code", "peak-memory")
    assert {k: v for k, v in sent.items() if k.endswith(facts)} == headers


def test_evidence_without_facts_adds_no_header():
    assert Evidence("ValueError", "no").facts == ()


@pytest.mark.parametrize(
    ("server", "alone", "given_up"), [((4, 3, 6), 2, 10), ((4, 2, 0), 10, 20), ((3, 10, 8), 10, 20)]
)
def test_who_is_to_blame_in_a_partition(server: tuple[int, ...], alone: int, given_up: int):
    assert not is_suspect_in_place(alone - 1, server)
    assert is_suspect_in_place(alone, server)
    assert died_in_place(given_up - 1, 3, server) is None
    assert died_in_place(given_up, 3, server) is not None
    assert died_in_place(given_up, given_up + 1, server) is None
