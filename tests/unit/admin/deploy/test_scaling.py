"""How many pods there are."""

from __future__ import annotations

import json
import re

import pytest

from rmqwork import App, Queue
from rmqwork._admin.deploy.options import PerQueue
from rmqwork._config.manifest import Manifest
from rmqwork.errors import ConfigurationError
from tests.kubernetes.validation import check
from tests.unit.admin.deploy.shop import rendered


def test_pods_are_scaled_by_what_may_wait():
    """8 threads, tasks of 0.5 s, and 5 s to wait: a pod does 80 in that time."""
    objects = rendered(latency=PerQueue(10.0, {"high_priority": 5.0}), task_seconds=PerQueue(0.5))

    spec = objects["ScaledObject", "shop-high-priority"]["spec"]
    assert spec["triggers"][0]["metadata"]["queueName"] == "high_priority"
    assert spec["triggers"][0]["metadata"]["value"] == "80"
    auth = objects["TriggerAuthentication", "shop"]["spec"]["secretTargetRef"]
    assert auth == [{"parameter": "host", "name": "shop-broker", "key": "url"}]


def test_partitions_are_scaled_by_and_watched():
    app = App("shop", queues=[Queue("orders", partitions=4)], default_queue="orders")
    objects = rendered(Manifest.from_dict(app.manifest()), most=PerQueue(4))

    check(objects.values())
    names = {f"orders.{number}" for number in range(4)}
    triggers = objects["ScaledObject", "shop-orders"]["spec"]["triggers"]
    assert {one["metadata"]["queueName"] for one in triggers} == names
    assert len({one["metadata"]["value"] for one in triggers}) == 1
    rules = objects["PrometheusRule", "shop"]["spec"]["groups"][0]["rules"]
    for rule in rules:
        if rule["alert"] in ("RmqworkQueueWaits", "RmqworkNobodyConsumes"):
            assert all(json.dumps(re.escape(name))[1:-1] in rule["expr"] for name in names)


def test_a_scaler_owns_the_number_of_pods():
    assert "replicas" not in rendered()["Deployment", "shop-idle"]["spec"]
    fixed = rendered(scaler="none", replicas=PerQueue(3))["Deployment", "shop-idle"]
    assert fixed["spec"]["replicas"] == 3
    with pytest.raises(ConfigurationError, match="does not scale to 0"):
        rendered(scaler="hpa", replicas=PerQueue(0))
