"""The broker and its topology as objects of its operator."""

from __future__ import annotations

import pytest

from rmqwork.errors import ConfigurationError
from tests.unit.admin.deploy.shop import rendered, shop, worker


def test_the_topology_as_objects_is_all_that_the_app_declares():
    objects = rendered(topology="operator", nodes=3)

    kinds = [kind for kind, _ in objects]
    assert kinds.count("RabbitmqCluster") == 1
    declared = sum(kinds.count(kind) for kind in ("Queue", "Exchange", "Binding"))
    assert declared == len(shop().declarations)
    assert not [kind for kind in kinds if kind == "Job"]
    _, container = worker(objects, "shop-idle")
    assert container["env"][0]["valueFrom"]["secretKeyRef"] == {
        "name": "shop-rabbitmq-default-user",
        "key": "connection_string",
    }
    with pytest.raises(ConfigurationError, match="--cluster"):
        rendered(topology="operator")
