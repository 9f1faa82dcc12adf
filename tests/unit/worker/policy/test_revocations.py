"""Which deliveries operators have revoked: by their own id, or by that of their workflow."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from rmqwork._control.control_state import ControlState
from rmqwork._control.wire import Command
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.policy.revocations import Revocations
from tests.unit.fakes import delivery


def held(task_id: str, workflow: str | None = None) -> HeldDelivery:
    one = HeldDelivery(1, delivery(), "q", task_id, 1)
    carried: Any = SimpleNamespace(workflow=SimpleNamespace(id=workflow))
    one.carried = carried if workflow else None
    return one


def state(**what: object) -> ControlState:
    known = ControlState()
    known.take(Command("revoke", what, by="op@host", at=0.0))
    return known


def test_nothing_is_revoked_at_first() -> None:
    assert Revocations().command(held("a")) is None
    assert Revocations().evidence(held("a")) is None


def test_a_task_is_revoked_by_its_id_or_by_its_workflow() -> None:
    revocations = Revocations()
    revocations.adopt(state(ids=["a"], workflows=["w"]))
    assert revocations.evidence(held("b")) is None
    assert revocations.evidence(held("b", "v")) is None
    for one in (held("a"), held("b", "w")):
        evidence = revocations.evidence(one)
        assert evidence is not None
        assert evidence.message == "revoked by op@host at 1970-01-01T00:00:00+00:00"


def test_what_was_said_last_counts() -> None:
    revocations = Revocations()
    revocations.adopt(state(ids=["a"]))
    revocations.adopt(ControlState())
    assert revocations.command(held("a")) is None
