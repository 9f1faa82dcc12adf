"""What chooses the number of pods: KEDA by the queue's length, or an HPA by CPU."""

from __future__ import annotations

from typing import Final

from rmqwork._admin.deploy.objects import Object
from rmqwork._admin.deploy.pods import metadata
from rmqwork._admin.deploy.workload import Deployment, Workload

_STEADY: Final = 300
"""Seconds without need before pods go."""
_UTILIZATION: Final = 70
_POLL: Final = (5, 30)


def trigger_authentication(estate: Deployment) -> Object:
    """How KEDA reaches the broker."""
    secret = estate.secret
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "TriggerAuthentication",
        "metadata": metadata(estate, estate.name),
        "spec": {"secretTargetRef": [{"parameter": "host", **secret}]},
    }


def scaled_object(estate: Deployment, load: Workload) -> Object:
    """Pods by messages that wait (https://keda.sh/docs/scalers/rabbitmq-queue, over AMQP: what is
    unacked, and so in some pod already, does not count).
    """
    # Each partition has a part of what waits; KEDA takes the trigger that wants the most pods.
    queues = load.sources if load.partitioned else (load.queue,)
    threshold = max(1, load.threshold // len(queues))
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": metadata(estate, load.name),
        "spec": {
            "scaleTargetRef": {"name": load.name},
            "minReplicaCount": load.replicas,
            "maxReplicaCount": load.most,
            "pollingInterval": round(min(max(load.latency / 2, _POLL[0]), _POLL[1])),
            "cooldownPeriod": _STEADY,
            # A broker that does not answer is no reason to let workers go.
            "fallback": {"failureThreshold": 3, "replicas": max(1, load.replicas)},
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behavior()}},
            "triggers": [_trigger(estate, queue, threshold) for queue in queues],
        },
    }


def _trigger(estate: Deployment, queue: str, threshold: int) -> Object:
    return {
        "type": "rabbitmq",
        "metadata": {
            "protocol": "amqp",
            "queueName": queue,
            "mode": "QueueLength",
            "value": str(threshold),
            "activationValue": "0",
        },
        "authenticationRef": {"name": estate.name},
    }


def horizontal_autoscaler(estate: Deployment, load: Workload) -> Object:
    """Pods by CPU, for clusters without KEDA; knows nothing of what waits."""
    target = {"type": "Utilization", "averageUtilization": _UTILIZATION}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(estate, load.name),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": load.name},
            "minReplicas": load.replicas,
            "maxReplicas": load.most,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
            "behavior": _behavior(),
        },
    }


def _behavior() -> Object:
    """Up at once, down slowly: each pod that goes has its grace, and hands back."""
    return {
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "policies": [
                {"type": "Percent", "value": 100, "periodSeconds": 15},
                {"type": "Pods", "value": 4, "periodSeconds": 15},
            ],
            "selectPolicy": "Max",
        },
        "scaleDown": {
            "stabilizationWindowSeconds": _STEADY,
            "policies": [{"type": "Percent", "value": 25, "periodSeconds": 60}],
        },
    }
