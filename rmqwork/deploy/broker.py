"""RabbitMQ by its operators: the cluster, and an app's topology as objects."""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import unquote, urlsplit

from rmqwork.deploy.document import Object
from rmqwork.deploy.names import unique_names
from rmqwork.deploy.pods import FIRST, metadata
from rmqwork.deploy.workload import Estate
from rmqwork.topology import Bind, Declaration, DeclareExchange, DeclareQueue

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
    declarations = estate.manifest.declarations
    keys = [_key(declaration) for declaration in declarations]
    names = unique_names(keys, estate.name)
    return [
        {
            "apiVersion": "rabbitmq.com/v1beta1",
            "kind": _KINDS[type(declaration)],
            "metadata": metadata(estate, names[key]),
            "spec": {
                **_spec(declaration),
                "vhost": _vhost(estate),
                "rabbitmqClusterReference": {"name": str(estate.cluster)},
            },
        }
        for key, declaration in zip(keys, declarations, strict=True)
    ]


_KINDS: Final = {DeclareExchange: "Exchange", DeclareQueue: "Queue", Bind: "Binding"}


def _vhost(estate: Estate) -> str:
    path = urlsplit(estate.manifest.settings.broker[0]).path
    return unquote(path.removeprefix("/")) or "/"


def _key(declaration: Declaration) -> str:
    """A text of its own for each declaration, which its object's name is made of."""
    match declaration:
        case DeclareExchange(name=name):
            return f"exchange {name}"
        case DeclareQueue(name=name):
            return f"queue {name}"
        case Bind():
            ends = f"binding {declaration.source} {declaration.destination}"
            more = [declaration.routing_key, dict(declaration.arguments), declaration.to_exchange]
            return ends if declaration.routing_key == declaration.destination else f"{ends} {more}"


def _spec(declaration: Declaration) -> Object:
    arguments = json.loads(json.dumps(dict(declaration.arguments), default=str))
    match declaration:
        case DeclareExchange(name=name, type=kind):
            spec: Object = {"name": name, "type": kind, "durable": True}
        case DeclareQueue(name=name):
            kind = arguments.pop("x-queue-type", "classic")
            spec = {"name": name, "type": kind, "durable": True}
        case Bind():
            spec = {
                "source": declaration.source,
                "destination": declaration.destination,
                "destinationType": "exchange" if declaration.to_exchange else "queue",
                "routingKey": declaration.routing_key,
            }
    return {**spec, **({"arguments": arguments} if arguments else {})}
