from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from rmqwork import App, Queue
from rmqwork._admin.deploy.options import PerQueue
from rmqwork._config.manifest import Manifest
from tests.kubernetes.validation import check
from tests.unit.admin.deploy.shop import rendered

VARIANTS: list[dict[str, Any]] = [
    {},
    {"scaler": "hpa", "topology": "workers", "monitoring": False, "namespace": "shop"},
    {"scaler": "none", "topology": "operator", "nodes": 3, "web": False},
    {"topology": "operator", "cluster": "rabbit", "replicas": PerQueue(0)},
]


@pytest.mark.parametrize("options", VARIANTS)
def test_all_objects_are_valid_on_three_versions_of_kubernetes(options):
    objects = rendered(**options)

    check(objects.values())
    assert len(objects) == len(set(objects))
    assert {one["metadata"].get("namespace") for one in objects.values()} == {
        options.get("namespace")
    }


def test_the_check_finds_what_is_wrong():
    objects = rendered()
    objects["Deployment", "shop-idle"]["spec"]["replica"] = 1
    scaled = objects["ScaledObject", "shop-idle"]
    scaled["spec"]["triggers"][0]["metadata"]["value"] = 10

    for kind in ("Deployment", "ScaledObject"):
        with pytest.raises(jsonschema.ValidationError):
            check([objects[kind, "shop-idle"]])


def test_queues_whose_names_differ_by_a_sign_do_not_meet():
    app = App("shop", queues=[Queue("a_b"), Queue("a.b")], default_queue="a_b")

    names = {name for kind, name in rendered(Manifest.from_dict(app.manifest())) if "Depl" in kind}

    assert len(names) == 2
