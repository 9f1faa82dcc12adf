"""Workflows on a real broker: workers are killed in the middle, and nothing is lost or doubled."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from rmqwork._messages.ids import uuid7
from rmqwork._topology import join_queues
from rmqwork._workflows.context import WorkflowContext
from rmqwork._workflows.flow import launch
from tests.acceptance.apps import flows
from tests.acceptance.support import Ledger, Rabbit, Worker
from tests.waiting import until

pytestmark = pytest.mark.broker
APP = "tests.acceptance.apps.flows:app"
SIZE = 60


def node(task: str, into: str | None = None, **body: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"task": f"flows.{task}", "id": uuid7()}
    made |= {"exchange": "rmqwork.tasks", "key": "default", "body": body}
    return made if into is None else {**made, "into": into}


def chord(size: int, seconds: float) -> dict[str, Any]:
    members = [node("member", index=n, seconds=seconds) for n in range(size)]
    return {"chain": [{"group": members, "id": uuid7()}, node("body", "values")]}


def test_a_chord_whose_workers_are_killed_one_after_the_other(
    vhost_url: str, tmp_path: Path
) -> None:
    ledger, rabbit = Ledger(tmp_path / "ledger"), Rabbit(vhost_url)
    app = flows.make(vhost_url)
    with Worker(vhost_url, ledger, "-c", "4", app=APP) as first:
        rabbit.wait_consumed("default")
        app._sender.send_many(
            launch(chord(SIZE, 0.05), None, "", WorkflowContext("wf", time.time())), 30
        )
        ledger.wait(SIZE // 4, "member")
        until(lambda: rabbit.consumed(*join_queues.names()), "somebody joins")
        with Worker(vhost_url, ledger, "-c", "4", app=APP) as second:
            ledger.wait(SIZE // 2, "member")
            first.process.kill()
            (body,) = ledger.wait(1, "body")
            assert body["values"] == list(range(SIZE))
            until(lambda: rabbit.ready("default") == 0, "nothing is left to run")
            assert second.stop() == 0
    assert len(ledger.lines("body")) == 1
    assert rabbit.ready(join_queues.DEAD_LETTERS) == 0
    app.close(1.0)
    rabbit.close()
