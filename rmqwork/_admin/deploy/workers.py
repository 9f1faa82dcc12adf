"""The Deployment of a queue's workers, and its PodDisruptionBudget."""

from __future__ import annotations

from typing import Final

from rmqwork._admin.deploy.objects import Object
from rmqwork._admin.deploy.options import HEALTH_PORT
from rmqwork._admin.deploy.pods import (
    config_fingerprint,
    container,
    environment,
    metadata,
    pod_spec,
)
from rmqwork._admin.deploy.workload import Deployment, Workload

QUEUE_LABEL: Final = "app.kubernetes.io/component"
_STARTUP: Final = 120
"""Seconds for the import of the app and its lifespan."""


def selector(estate: Deployment, load: Workload) -> Object:
    """The labels by which the pods of a queue are found; never changed, or roll-outs break."""
    return {"app.kubernetes.io/name": estate.name, QUEUE_LABEL: load.name}


def deployment(estate: Deployment, load: Workload) -> Object:
    """The workers of one queue. A roll starts a new pod before it ends an old one."""
    labels = {**estate.labels, **selector(estate, load)}
    spec: dict[str, object] = {
        # A scaler owns the number of pods: applying this again must not reset it.
        **({"replicas": load.replicas} if estate.options.scaler == "none" else {}),
        "revisionHistoryLimit": 5,
        "minReadySeconds": 5,
        "progressDeadlineSeconds": max(600, load.termination + 2 * _STARTUP),
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0},
        },
        "selector": {"matchLabels": selector(estate, load)},
        "template": {
            "metadata": {
                "labels": labels,
                "annotations": {
                    "rmqwork/queue": load.queue,
                    "rmqwork/config": config_fingerprint(estate),
                },
            },
            "spec": {
                "terminationGracePeriodSeconds": load.termination,
                **pod_spec(estate, _worker(estate, load)),
                "topologySpreadConstraints": [
                    _spread(estate, load, key)
                    for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
                ],
            },
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**metadata(estate, load.name), "labels": labels},
        "spec": spec,
    }


def _worker(estate: Deployment, load: Workload) -> Object:
    args = ["worker", estate.options.app, "-Q", load.queue]
    args += ["-p", str(load.processes), "-c", str(load.concurrency)]
    if estate.manifest.settings.prefetch is not None:  # else it follows what was measured
        args += ["--prefetch", str(estate.manifest.settings.prefetch)]
    env = [
        *environment(estate),
        {"name": "RMQWORK_GRACE", "value": f"{load.grace:g}"},
        # The downward API does not know it, and a worker checks its own grace against it.
        {"name": "RMQWORK_TERMINATION_GRACE", "value": str(load.termination)},
    ]
    memory = f"{load.memory}Mi"
    return {
        **container(estate, "worker", args, env),
        "ports": [{"name": "health", "containerPort": HEALTH_PORT}],
        # No limit of CPU: throttling is latency. Memory: what is asked for is what may be used.
        "resources": {
            "requests": {"cpu": f"{load.cpu}m", "memory": memory},
            "limits": {"memory": memory},
        },
        "startupProbe": _probe("/startupz", every=1, failures=_STARTUP),
        "livenessProbe": _probe("/livez", every=10, failures=6),
        "readinessProbe": _probe("/readyz", every=5, failures=2),
    }


def _probe(path: str, every: int, failures: int) -> Object:
    return {
        "httpGet": {"path": path, "port": "health"},
        "periodSeconds": every,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _spread(estate: Deployment, load: Workload, key: str) -> Object:
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector(estate, load)},
    }


def disruption_budget(estate: Deployment, load: Workload) -> Object:
    """How many pods a drain of nodes may take at once. One that is not ready (a broker is away)
    may always be evicted, so that no outage holds up a drain.
    """
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(estate, load.name),
        "spec": {
            "maxUnavailable": "25%",
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": selector(estate, load)},
        },
    }
