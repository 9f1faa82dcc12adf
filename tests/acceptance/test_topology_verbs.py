"""``rmqwork topology`` against a real broker; the verbs run in this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rmqwork._cli.program import main
from rmqwork.testing.broker import Broker, vhost
from tests.acceptance.support import Rabbit, manage

APP = """
from rmqwork import App, Binding, Exchange, Queue

app = App(
    "shop",
    queues=[Queue("high"), Queue("low", max_length=9, bindings=[Binding("events", "order.#")])],
    exchanges=[Exchange("events")],
)
"""
Verb = Callable[..., tuple[int, Any]]


@pytest.fixture
def verb(
    tmp_path: Path,
    broker: Broker,
    vhost_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Verb:
    """Runs a verb with ``--json``; gives its exit code and what it printed."""
    (tmp_path / "topology_app.py").write_text(APP)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("RMQWORK_BROKER", vhost_url)
    if broker.management_url:
        monkeypatch.setenv("RMQWORK_MANAGEMENT_URL", broker.management_url)

    def run(name: str, *arguments: str) -> tuple[int, Any]:
        sys.modules.pop("topology_app", None)  # the app reads its settings when it is made
        capsys.readouterr()
        code = main(["topology", name, "topology_app:app", *arguments])
        said = capsys.readouterr()
        return code, json.loads(said.out) if said.out.startswith("{") else said.out + said.err

    return run


def test_plan_apply_and_nothing_left_to_do(verb: Verb, vhost_url: str) -> None:
    # Given an empty virtual host
    code, planned = verb("plan", "--json")
    assert code == 5
    assert {one["name"] for one in planned["create"]} >= {"high", "high.dlq", "low.due", "events"}

    # When it is applied, then there is nothing to do, and applying again does nothing
    assert verb("apply", "--json") == (0, planned)
    for name in ("plan", "apply"):
        code, again = verb(name, "--json")
        assert code == 0
        assert not any(again.values())

    # And when somebody unbinds one, and makes queues of their own
    rabbit = Rabbit(vhost_url)
    rabbit.channel.queue_unbind("low", "events", "order.#")
    rabbit.channel.queue_delete("high")
    rabbit.channel.queue_declare("high", durable=True, arguments={"x-queue-type": "classic"})
    rabbit.channel.queue_declare("old", durable=True)
    rabbit.channel.queue_bind("old", "rmqwork.tasks", "old")
    rabbit.close()

    # Then the plan says so, field by field, and apply makes what can be made
    code, planned = verb("plan", "--json")
    assert code == 6
    missing = [(one["source"], one["destination"]) for one in planned["bind"]]
    assert ("events", "low") in missing
    types = [one for one in planned["differs"] if one["attribute"] == "x-queue-type"]
    assert types == [
        {
            "kind": "queue",
            "name": "high",
            "attribute": "x-queue-type",
            "app": "quorum",
            "broker": "classic",
            "suits": False,
        }
    ]
    assert [one["name"] for one in planned["unused"]] == ["old"]
    assert verb("apply", "--json")[0] == 6
    code, planned = verb("plan", "--json")
    assert (code, planned["bind"]) == (6, [])


def test_definitions_that_a_broker_imports_leave_nothing_to_do(
    verb: Verb, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, made = verb("export")
    with vhost(broker) as elsewhere:
        management, place = manage(broker, elsewhere)
        management.call("POST", f"definitions/{place}", made)
        monkeypatch.setenv("RMQWORK_BROKER", elsewhere)
        code, planned = verb("plan", "--json")
        assert code == 0, planned
        assert not any(planned.values())


def test_what_amqp_alone_can_tell(
    verb: Verb, vhost_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given no management API, and a queue that is there with another length limit
    assert verb("apply")[0] == 0
    monkeypatch.setenv("RMQWORK_MANAGEMENT_URL", "http://127.0.0.1:1")
    assert verb("plan")[0] == 0
    monkeypatch.setattr("rmqwork._topology.topology._DELIVERY_LIMIT", 5)
    rabbit = Rabbit(vhost_url)
    rabbit.channel.queue_delete("high.dlq")
    rabbit.channel.exchange_delete("events")
    rabbit.close()

    # When
    code, planned = verb("plan", "--json")

    # Then it tells what differs, what is missing, and what it could not look at
    assert code == 6
    limits = {one["attribute"] for one in planned["differs"]}
    assert limits == {"x-delivery-limit"}
    assert {one["name"] for one in planned["create"]} == {"high.dlq", "events"}
    assert "rabbitmq_management" in planned["unknown"][0]
