"""The workers of each queue, and their grace."""

from __future__ import annotations

import pytest

from rmqwork._admin.deploy.options import DeployOptions, PerQueue
from rmqwork._admin.deploy.workload import make_deployment
from rmqwork.errors import ConfigurationError
from tests.unit.admin.deploy.shop import OPTIONS, rendered, shop, worker


def test_each_queue_has_its_own_workers():
    objects = rendered()

    names = [name for kind, name in objects if kind == "Deployment"]
    assert names == ["shop-high-priority", "shop-low-priority", "shop-idle"]
    for kind in ("PodDisruptionBudget", "ScaledObject"):
        assert [name for found, name in objects if found == kind] == names
    _, container = worker(objects, "shop-low-priority")
    assert container["args"][:4] == ["worker", "shop.app:app", "-Q", "low.priority"]


def test_the_longest_task_fits_into_the_grace():
    """Tasks are told at four fifths of it; after it the worker has 15 s to hand back."""
    spec, container = worker(rendered(), "shop-high-priority")

    env = {one["name"]: one.get("value") for one in container["env"]}
    assert env["RMQWORK_GRACE"] == "125"
    assert env["RMQWORK_TERMINATION_GRACE"] == "140"
    assert spec["terminationGracePeriodSeconds"] == 140


def test_tasks_without_a_limit_are_named_and_have_the_apps_grace():
    estate = make_deployment(shop(grace=60), DeployOptions(**OPTIONS))

    high, low, _ = estate.workloads
    assert (high.grace, low.grace) == (125, 60)
    assert [remark for remark in estate.remarks if "shop.fetch" in remark]


def test_a_grace_that_cuts_tasks_off_is_refused():
    with pytest.raises(ConfigurationError, match=r"shop.slow may run 100 s.*--short-grace"):
        rendered(grace=PerQueue(30.0))

    estate = make_deployment(
        shop(), DeployOptions(**OPTIONS, grace=PerQueue(30.0), short_grace=True)
    )
    assert [remark for remark in estate.remarks if "shop.slow" in remark]
