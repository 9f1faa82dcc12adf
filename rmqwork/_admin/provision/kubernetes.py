"""Objects of RabbitMQ's Messaging Topology Operator for Kubernetes.

Source: https://www.rabbitmq.com/kubernetes/operator/using-topology-operator and the operator's
API reference, ``rabbitmq.com/v1beta1``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rmqwork._topology.topology import Bind, Declaration, DeclareExchange, DeclareQueue

_API: Final = "rabbitmq.com/v1beta1"
_LONGEST: Final = 63
_UNFIT: Final = re.compile(r"[^a-z0-9]+")


def object_name(*parts: str) -> str:
    """A name that Kubernetes takes, from names that RabbitMQ takes; two differ if those do.

    Args:
        parts: the kind and the names that make it one of its own.
    """
    said = _UNFIT.sub("-", "-".join(parts).lower()).strip("-")
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]
    return f"{said[: _LONGEST - 9].rstrip('-')}-{digest}"


def objects(
    declarations: Sequence[Declaration],
    *,
    vhost: str,
    cluster: str,
    cluster_namespace: str | None = None,
    namespace: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """The topology as objects of the operator: one a queue, an exchange, a binding.

    Args:
        declarations: of an app.
        vhost: the virtual host that they are for.
        cluster: the name of the ``RabbitmqCluster``.
        cluster_namespace: where that is, if it is elsewhere.
        namespace: of the objects; None = that of ``kubectl``.
        labels: of each object.
    """
    reference = {"name": cluster}
    if cluster_namespace is not None:
        reference["namespace"] = cluster_namespace
    made = []
    for declaration in declarations:
        kind, name, spec = _described(declaration)
        metadata: dict[str, Any] = {"name": name}
        if namespace is not None:
            metadata["namespace"] = namespace
        if labels:
            metadata["labels"] = dict(labels)
        spec = {**spec, "vhost": vhost, "rabbitmqClusterReference": dict(reference)}
        made.append({"apiVersion": _API, "kind": kind, "metadata": metadata, "spec": spec})
    return made


def _described(declaration: Declaration) -> tuple[str, str, dict[str, Any]]:
    """The kind, the object's name, and what is its own in its spec."""
    arguments = dict(declaration.arguments)
    spec: dict[str, Any]
    match declaration:
        case DeclareQueue(name):
            # The operator wants the type in a field of its own, and sends it as the argument.
            kind = arguments.pop("x-queue-type", "classic")
            spec = {"name": name, "type": kind, "durable": True, "autoDelete": False}
            made = ("Queue", object_name("queue", name))
        case DeclareExchange(name, kind):
            spec = {"name": name, "type": kind, "durable": True, "autoDelete": False}
            made = ("Exchange", object_name("exchange", name))
        case Bind(source, destination, routing_key, _, to_exchange):
            to = "exchange" if to_exchange else "queue"
            spec = {"source": source, "destination": destination, "destinationType": to}
            if routing_key:
                spec["routingKey"] = routing_key
            told = repr(sorted(arguments.items())) if arguments else ""
            made = ("Binding", object_name("binding", source, destination, routing_key, told))
    if arguments:
        spec["arguments"] = arguments
    return made[0], made[1], spec
