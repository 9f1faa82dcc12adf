"""Metrics of the workers and of the broker, and alerts; for Prometheus' operator."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final

from rmqwork._admin.deploy.objects import Object
from rmqwork._admin.deploy.pods import metadata
from rmqwork._admin.deploy.workload import Deployment, Workload
from rmqwork._topology.topology import dead_letter_queue

_READY: Final = "rabbitmq_(detailed_)?queue_messages_ready"
_CONSUMERS: Final = "rabbitmq_(detailed_)?queue_consumers"
_FAMILIES: Final = ("queue_coarse_metrics", "queue_consumer_count")


def pod_monitor(estate: Deployment) -> Object:
    """Scrapes ``/metrics`` of all workers."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": metadata(estate, estate.name),
        "spec": {
            "selector": {"matchLabels": {"app.kubernetes.io/name": estate.name}},
            "podTargetLabels": ["app.kubernetes.io/component"],
            "podMetricsEndpoints": [{"port": "health", "path": "/metrics", "interval": "30s"}],
        },
    }


def broker_monitor(estate: Deployment) -> Object:
    """Scrapes the queues' metrics, on which the alerts rest, from the nodes of a RabbitmqCluster.

    Its operator enables the plugin and names the port; what it has scraped by default adds up all
    queues (https://www.rabbitmq.com/docs/prometheus).
    """
    endpoint = {
        "port": "prometheus",
        "path": "/metrics/detailed",
        "params": {"family": list(_FAMILIES)},
        "interval": "30s",
    }
    labels = {
        "app.kubernetes.io/name": str(estate.cluster),
        "app.kubernetes.io/component": "rabbitmq",
    }
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": metadata(estate, str(estate.cluster)),
        "spec": {"selector": {"matchLabels": labels}, "podMetricsEndpoints": [endpoint]},
    }


def prometheus_rule(estate: Deployment) -> Object:
    """Alerts: dead letters, messages that wait too long, nobody who consumes, workers that do not.

    Those about queues need RabbitMQ's metrics of single queues: ``/metrics/per-object``, or
    ``/metrics/detailed`` as `broker_monitor` asks for it.
    """
    dead = _series(_READY, (dead_letter_queue(load.queue) for load in estate.workloads))
    rules: list[Object] = [
        _alert(
            "RmqworkDeadLetters",
            f"sum by (queue) ({dead}) > 0",
            "5m",
            "warning",
            "{{ $value }} dead letters in {{ $labels.queue }}",
            f"rmqwork dlq list {estate.options.app}",
        ),
        _alert(
            "RmqworkWorkerNotConsuming",
            f"rmqwork_consuming{{app={json.dumps(estate.manifest.app)}}} == 0",
            "10m",
            "warning",
            "{{ $labels.pod }} does not consume",
            "its /readyz says why",
        ),
    ]
    for load in estate.workloads:
        rules += _of_queue(load)
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": metadata(estate, estate.name),
        "spec": {"groups": [{"name": f"rmqwork-{estate.name}", "rules": rules}]},
    }


def _of_queue(load: Workload) -> list[Object]:
    ready = _series(_READY, load.sources)
    consumers = _series(_CONSUMERS, load.sources)
    most = load.threshold * load.most
    return [
        _alert(
            "RmqworkQueueWaits",
            f"sum({ready}) > {most}",
            "10m",
            "warning",
            f"{{{{ $value }}}} messages wait in {load.queue}: "
            f"more than {load.most} pods start within {load.latency:g} s",
            "raise the number of pods, or find out why tasks have become slower",
        ),
        _alert(
            "RmqworkNobodyConsumes",
            f"sum by (queue) ({ready}) > 0 unless sum by (queue) ({consumers}) > 0",
            "5m",
            "critical",
            "messages wait in {{ $labels.queue }}, and nobody consumes it",
            f"look at the pods of the Deployment {load.name}",
        ),
    ]


def _series(name: str, queues: Iterable[str]) -> str:
    pattern = json.dumps("|".join(re.escape(queue) for queue in queues))
    return f'{{__name__=~"{name}",queue=~{pattern}}}'


def _alert(
    name: str, expression: str, during: str, severity: str, summary: str, action: str
) -> Object:
    return {
        "alert": name,
        "expr": expression,
        "for": during,
        "labels": {"severity": severity},
        "annotations": {"summary": summary, "action": action},
    }
