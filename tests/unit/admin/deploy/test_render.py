from __future__ import annotations

import copy
import json
import re
from typing import Any

import jsonschema
import pytest

from rmqwork import App, Binding, Exchange, Queue
from rmqwork._admin.deploy.options import DeployOptions, PerQueue, per_queue
from rmqwork._admin.deploy.render import render
from rmqwork._admin.deploy.workload import make_deployment
from rmqwork._config.manifest import Manifest
from rmqwork.errors import ConfigurationError
from tests.kubernetes.validation import check

OPTIONS: dict[str, Any] = {"app": "shop.app:app", "image": "registry.example/shop:1.4"}
VARIANTS: list[dict[str, Any]] = [
    {},
    {"scaler": "hpa", "topology": "workers", "monitoring": False, "namespace": "shop"},
    {"scaler": "none", "topology": "operator", "nodes": 3, "web": False},
    {"topology": "operator", "cluster": "rabbit", "replicas": PerQueue(0)},
]


def shop(**settings: Any) -> Manifest:
    app = App(
        "shop",
        queues=[
            Queue("high_priority", bindings=[Binding("events", "a.#"), Binding("events", "b.#")]),
            Queue("low.priority", max_length=10),
            Queue("idle", type="classic"),
        ],
        exchanges=[Exchange("events")],
        default_queue="low.priority",
        **settings,
    )

    @app.task(queue="high_priority", time_limit=40, hard_time_limit=100)
    def slow() -> None: ...

    @app.task(queue="high_priority", time_limit=10)
    def quick() -> None: ...

    @app.task
    async def fetch() -> None: ...

    return Manifest.from_dict(app.manifest())


def rendered(manifest: Manifest | None = None, **options: Any) -> dict[tuple[str, str], Any]:
    """The objects by kind and name, as others see them: plain and apart."""
    estate = make_deployment(manifest or shop(), DeployOptions(**{**OPTIONS, **options}))
    objects: list[Any] = copy.deepcopy(render(estate))
    return {(one["kind"], one["metadata"]["name"]): one for one in objects}


def worker(objects: dict[tuple[str, str], Any], name: str) -> tuple[Any, Any]:
    """The spec of a Deployment's pods, and their container."""
    spec = objects["Deployment", name]["spec"]["template"]["spec"]
    return spec, spec["containers"][0]


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


def test_each_queue_has_its_own_workers():
    objects = rendered()

    names = [name for kind, name in objects if kind == "Deployment"]
    assert names == ["shop-high-priority", "shop-low-priority", "shop-idle"]
    for kind in ("PodDisruptionBudget", "ScaledObject"):
        assert [name for found, name in objects if found == kind] == names
    _, container = worker(objects, "shop-low-priority")
    assert container["args"][:4] == ["worker", "shop.app:app", "-Q", "low.priority"]


def test_queues_whose_names_differ_by_a_sign_do_not_meet():
    app = App("shop", queues=[Queue("a_b"), Queue("a.b")], default_queue="a_b")

    names = {name for kind, name in rendered(Manifest.from_dict(app.manifest())) if "Depl" in kind}

    assert len(names) == 2


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


def test_pods_are_restricted():
    """The restricted profile of the Pod Security Standards, a read-only root, no token."""
    objects = rendered()
    pods = [
        one["spec"]["template"]["spec"]
        for (kind, _), one in objects.items()
        if kind in ("Deployment", "Job")
    ]

    assert len(pods) == 4
    for pod in pods:
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        security = pod["containers"][0]["securityContext"]
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}


def test_new_settings_replace_the_pods_and_a_new_image_makes_a_new_job():
    before, settings, image = (
        rendered(),
        rendered(shop(unknown_task_grace=5)),
        rendered(image="x:2"),
    )

    def annotation(objects: dict[tuple[str, str], Any]) -> str:
        template = objects["Deployment", "shop-idle"]["spec"]["template"]
        return str(template["metadata"]["annotations"]["rmqwork/config"])

    def job(objects: dict[tuple[str, str], Any]) -> str:
        return next(name for kind, name in objects if kind == "Job")

    assert annotation(before) != annotation(settings)
    assert job(before) != job(image)
    assert job(before) == job(rendered())


def test_a_broker_that_is_rendered_is_scraped_for_the_metrics_of_the_alerts():
    objects = rendered(nodes=3)

    (endpoint,) = objects["PodMonitor", "shop-rabbitmq"]["spec"]["podMetricsEndpoints"]
    assert endpoint["params"]["family"] == ["queue_coarse_metrics", "queue_consumer_count"]
    assert ("PodMonitor", "rabbit") not in rendered(cluster="rabbit")
    assert not [one for one in rendered(nodes=3, monitoring=False) if one[0] == "PodMonitor"]


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


def test_choices_for_single_queues():
    chosen = per_queue(["3", "low=5"], 1, int, ["low", "high"], "--most")

    assert (chosen.of("low"), chosen.of("high")) == (5, 3)
    with pytest.raises(ConfigurationError, match="no queue 'lo'"):
        per_queue(["lo=5"], 1, int, ["low"], "--most")
    with pytest.raises(ConfigurationError, match="'x' is no suitable value"):
        per_queue(["x"], 1, int, ["low"], "--most")
