"""The topology as RabbitMQ's definitions."""

from __future__ import annotations

from rmqwork import App, Queue
from rmqwork._admin.provision.definitions import definitions
from rmqwork._admin.provision.looking import whole_plan


def test_definitions_have_all_that_is_declared() -> None:
    plan = whole_plan(App("shop", queues=[Queue("high", max_length=7)]))
    made = definitions(plan, "prod")
    assert len(made["queues"]) + len(made["exchanges"]) + len(made["bindings"]) == len(plan)
    assert {one["vhost"] for kind in made.values() for one in kind} == {"prod"}
    high = next(one for one in made["queues"] if one["name"] == "high")
    assert high["arguments"]["x-max-length"] == 7
    assert high["durable"] is True
    to_exchange = [one for one in made["bindings"] if one["destination_type"] == "exchange"]
    assert [one["destination"] for one in to_exchange] == ["rmqwork.tasks.due"]
