"""RabbitMQ by its operators: the cluster, and an app's topology as objects."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote, urlsplit

from rmqwork.deploy.document import Object
from rmqwork.deploy.pods import FIRST, metadata
from rmqwork.deploy.workload import Estate
from rmqwork.provision.kubernetes import objects

_CONFIG: Final = """\
cluster_partition_handling = pause_minority
queue_leader_locator = balanced
disk_free_limit.relative = 1.0
vm_memory_high_watermark.relative = 0.6
"""
"""Quorum queues need a majority anyway; leaders are spread over the nodes."""


def rabbitmq_cluster(estate: Estate) -> Object:
    """A broker of several nodes, in different zones (RabbitMQ Cluster Operator)."""
    name = estate.cluster
    return {
        "apiVersion": "rabbitmq.com/v1beta1",
        "kind": "RabbitmqCluster",
        "metadata": metadata(estate, str(name), FIRST),
        "spec": {
            "replicas": estate.options.nodes,
            "persistence": {"storage": "20Gi"},
            "resources": {
                "requests": {"cpu": "1", "memory": "2Gi"},
                "limits": {"memory": "2Gi"},
            },
            "rabbitmq": {"additionalConfig": _CONFIG},
        },
    }


def topology_objects(estate: Estate) -> list[Object]:
    """The app's exchanges, queues and bindings (RabbitMQ Messaging Topology Operator)."""
    made = objects(
        estate.manifest.declarations,
        vhost=_vhost(estate),
        cluster=str(estate.cluster),
        namespace=estate.options.namespace,
        labels=estate.labels,
    )
    return [*made]


def _vhost(estate: Estate) -> str:
    path = urlsplit(estate.manifest.settings.broker[0]).path
    return unquote(path.removeprefix("/")) or "/"
