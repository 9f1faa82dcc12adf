"""The topology in the forms that others take."""

from __future__ import annotations

import re

from rmqwork import App, Queue
from rmqwork._admin.provision.kubernetes import object_name, objects
from rmqwork._admin.provision.looking import whole_plan
from rmqwork._topology.topology import Bind, DeclareExchange, DeclareQueue


def test_objects_of_the_operator() -> None:
    plan = whole_plan(App("shop", queues=[Queue("High_Priority")]))
    made = objects(plan, vhost="prod", cluster="rabbit", cluster_namespace="mq", namespace="shop")
    assert len(made) == len(plan)
    names = [(one["kind"], one["metadata"]["name"]) for one in made]
    assert len(set(names)) == len(names)
    for one in made:
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", one["metadata"]["name"])
        assert one["apiVersion"] == "rabbitmq.com/v1beta1"
        assert one["metadata"]["namespace"] == "shop"
        assert one["spec"]["vhost"] == "prod"
        assert one["spec"]["rabbitmqClusterReference"] == {"name": "rabbit", "namespace": "mq"}
    queue = next(one["spec"] for one in made if one["spec"].get("name") == "High_Priority")
    assert queue["type"] == "quorum"
    assert "x-queue-type" not in queue["arguments"]
    assert queue["arguments"]["x-dead-letter-routing-key"] == "High_Priority.dlq"
    kinds = {"Queue": DeclareQueue, "Exchange": DeclareExchange, "Binding": Bind}
    for kind, cls in kinds.items():
        wanted = sum(isinstance(one, cls) for one in plan)
        assert sum(one["kind"] == kind for one in made) == wanted


def test_names_that_kubernetes_would_make_alike_stay_apart() -> None:
    assert object_name("queue", "a_b") != object_name("queue", "a.b")
    assert len(object_name("queue", "x" * 255)) <= 63
